//! What a worker has to work with: its agents, the sandbox runtimes of its machine, its folders.

use std::collections::HashMap;
use std::sync::Arc;

use hostler_wire::v1::{Held, Hello};

use crate::Error;
use crate::agent::scripted::Scripted;
use crate::agent::{Agent, Refusal, agents};
use crate::config::{Config, Machine};
use crate::sandbox::{Guardian, Runtime, runtimes};
use crate::workspace::Keeper;

pub(crate) struct Tools {
    pub(crate) config: Config,
    pub(crate) keeper: Keeper,
    pub(crate) machine: Machine,
    pub(crate) guardian: Arc<Guardian>,
    agents: Vec<Arc<dyn Agent>>,
    runtimes: Vec<Arc<dyn Runtime>>,
    /// Those whose probe passed.
    offered_runtimes: Vec<String>,
    offered_runners: Vec<String>,
}

impl Tools {
    /// Probes runtimes and agents, which blocks for a second or so.
    pub(crate) fn find(config: Config) -> Result<Tools, Error> {
        let keeper = Keeper::new(&config.data_dir, config.dirs.clone())?;
        let mut agents = agents();
        if let Some(program) = &config.hostler_bin {
            let scripted = Scripted { program: Some(program.clone()) };
            let runner = scripted.runner();
            agents.retain(|agent| agent.runner() != runner);
            agents.push(Arc::new(scripted));
        }
        let runtimes = runtimes();
        let mut offered_runtimes = Vec::new();
        for runtime in &runtimes {
            let probe = runtime.probe();
            match probe.available {
                true => offered_runtimes.push(probe.runtime.to_owned()),
                false => tracing::debug!(runtime = probe.runtime, detail = probe.detail, "absent"),
            }
        }
        let mut offered_runners = Vec::new();
        for agent in &agents {
            match agent.probe() {
                Ok(_) => offered_runners.push(agent.runner().to_owned()),
                Err(refusal) => tracing::debug!(runner = agent.runner(), %refusal, "absent"),
            }
        }
        let machine = Machine::here();
        // After the probes: a worker that is not alone in its cgroup may not make others below it,
        // and the first probe moves it where it may have company.
        let guardian = Guardian::start(config.guardian.clone()).map_err(Error::NoGuardian)?;
        Ok(Tools {
            config,
            keeper,
            machine,
            guardian,
            agents,
            runtimes,
            offered_runtimes,
            offered_runners,
        })
    }

    pub(crate) fn hello(&self, incarnation: &str, held: Vec<Held>) -> Hello {
        let config = &self.config;
        let labels: HashMap<String, String> = config.labels.clone().into_iter().collect();
        Hello {
            worker_id: config.worker_id.clone(),
            incarnation: incarnation.to_owned(),
            pool: config.pool.clone(),
            runtimes: self.offered_runtimes.clone(),
            runners: self.offered_runners.clone(),
            cpu_millis: self.machine.cpu_millis,
            memory_bytes: self.machine.memory_bytes,
            gpus: 0,
            labels,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            held,
        }
    }

    pub(crate) fn agent(&self, runner: &str) -> Result<Arc<dyn Agent>, Refusal> {
        let found = self.agents.iter().find(|agent| agent.runner() == runner);
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = self.agents.iter().map(|agent| agent.runner()).collect();
            let names = names.join(", ");
            Refusal(format!("this worker has no runner `{runner}`; built in are: {names}"))
        })
    }

    pub(crate) fn runtime(&self, name: &str) -> Option<Arc<dyn Runtime>> {
        self.runtimes.iter().find(|runtime| runtime.name() == name).cloned()
    }

    pub(crate) fn runtime_names(&self) -> String {
        self.offered_runtimes.join(", ")
    }
}
