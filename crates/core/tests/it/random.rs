//! Random scripts: whatever is asked, in whatever order, the counts are what the rows say.

use hostler_core::id::Ids;
use hostler_core::time::Timestamp;

use crate::script::Script;

struct Dice(Ids);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.bits() % bound as u64) as usize
    }

    fn of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }
}

/// A line that can be understood now.
fn line(script: &Script, dice: &mut Dice, step: usize) -> String {
    let given: Vec<&String> = script.given.keys().collect();
    let tasks: Vec<&String> = script.tasks.keys().collect();
    match dice.below(if given.is_empty() { 8 } else { 20 }) {
        0..3 => {
            let priority = dice.of(&["urgent", "high", "normal", "normal", "low"]);
            let cpu = dice.of(&["", " cpu=500", " cpu=1500", " gpu=1"]);
            let budget = dice.of(&["", "", " turns=1", " max_tokens=50"]);
            let lane = dice.of(&["", "", " lane=x"]);
            let session = dice.of(&["", "", " session=s", " session=t"]);
            let agent = dice.of(&["a", "b"]);
            format!("accept T{step} agent={agent} priority={priority}{cpu}{budget}{lane}{session}")
        }
        3 => {
            let anew = dice.of(&["", " anew"]);
            let worker = dice.of(&["w1 cpu=2000 slots=3", "w2 slots=2", "w3 gpus=1 slots=9"]);
            let (name, offer) = worker.split_once(' ').expect("two words");
            let held: Vec<&str> = given.iter().map(|name| name.as_str()).collect();
            format!("worker {name}{anew} held={} {offer}", held.join(","))
        }
        4 => format!("tick {}", dice.of(&["1ms", "1s", "3s", "9s", "40s"])),
        5 => {
            let budget = dice.of(&["budget=none", "max_tokens=60", "turns=3 period=day"]);
            dice.of(&["pause", "resume", "resume", "reset-budget a", budget])
                .replace(budget, &format!("set-workspace {budget}"))
        }
        6 => {
            let max = dice.of(&["max=1", "max=3", "turns=4", "pool=none", "pool=default max=2"]);
            format!("update {} {max}", dice.of(&["a", "b"]))
        }
        7 if tasks.is_empty() => "reboot".to_owned(),
        7 => {
            let task = tasks[dice.below(tasks.len())];
            let what = dice.of(&["cancel #", "reset #", "set # threshold=1", "input #", "waits #"]);
            what.replace('#', task)
        }
        _ => {
            let task = given[dice.below(given.len())];
            let what = dice.of(&[
                "start # can=all",
                "start # can=all",
                "turn #",
                "turn #",
                "end-turn # ok tokens=20",
                "end-turn # asks",
                "end-turn # error",
                "spent # 30",
                "spent # 70",
                "end # closed",
                "end # killed",
                "end # stopped",
                "input # mode=interrupt",
                "done #",
            ]);
            what.replace('#', task)
        }
    }
}

fn run(seed: u64) {
    let mut dice = Dice(Ids::new(Timestamp(0), seed));
    let mut script = Script::new();
    for text in ["agent a max=2", "agent b", "worker w1 slots=3 cpu=2000"] {
        script.line(text);
    }
    for step in 0..150 {
        let text = line(&script, &mut dice, step);
        script.line(&text);
        script.check_counts();
    }
}

#[test]
fn counts_are_what_the_rows_say_after_whatever_was_asked() {
    (1..=60).for_each(run);
}
