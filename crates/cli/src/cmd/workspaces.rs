//! `hostler workspaces`.

use hostler_wire::json::{CreateWorkspace, Paged, UpdateWorkspace, Workspace};
use hostler_wire::status::Exit;

use crate::args::{Global, Workspaces};
use crate::connect::Site;
use crate::print::{self, Card, Table, clean};

pub async fn workspaces(global: &Global, workspaces: Workspaces) -> anyhow::Result<Exit> {
    let site = Site::find(global).await?;
    let client = &site.client;
    let here = |key: Option<String>| key.unwrap_or_else(|| client.workspace().to_owned());
    let paused = |paused| UpdateWorkspace { paused: Some(paused), ..UpdateWorkspace::default() };
    let workspace = match workspaces {
        Workspaces::List { page } => {
            let page = Paged { limit: page.limit, cursor: page.cursor };
            let list = client.list_workspaces(&page).await?;
            match global.json {
                true => print::json(&list)?,
                false => table(&list.workspaces, list.next_cursor.as_deref()),
            }
            return Ok(Exit::Ok);
        }
        Workspaces::Get { key } => client.get_workspace(&here(key)).await?,
        Workspaces::Create { key } => {
            client.create_workspace(&CreateWorkspace { key: Some(key) }).await?
        }
        Workspaces::Pause { key } => client.update_workspace(&here(key), &paused(true)).await?,
        Workspaces::Resume { key } => client.update_workspace(&here(key), &paused(false)).await?,
        Workspaces::Weigh { key, weight } => {
            let change = UpdateWorkspace { weight: Some(weight), ..UpdateWorkspace::default() };
            client.update_workspace(&key, &change).await?
        }
    };
    match global.json {
        true => print::json(&workspace)?,
        false => show(&workspace),
    }
    Ok(Exit::Ok)
}

fn state(workspace: &Workspace) -> String {
    if workspace.paused { "paused".to_owned() } else { "active".to_owned() }
}

fn table(workspaces: &[Workspace], next_cursor: Option<&str>) {
    let mut table = Table::new("workspaces", &["workspace", "state", "weight"]);
    for workspace in workspaces {
        table.row([clean(&workspace.key), state(workspace), workspace.weight.to_string()]);
    }
    table.print(next_cursor);
}

fn show(workspace: &Workspace) {
    let mut card = Card::default();
    card.line("workspace", clean(&workspace.key))
        .line("number", workspace.id)
        .line("state", state(workspace))
        .line("weight", workspace.weight);
    card.print();
}
