//! A command, from its row alone; its charger's name is looked up.

use domain::station_command::CommandState;
use schema::api::query;
use schema::view::CommandRow;

use super::At;
use crate::directory::Names;

/// The states of a command that is not settled.
pub const UNSETTLED: [CommandState; 3] = [CommandState::Requested, CommandState::Sent, CommandState::Accepted];

pub fn compose(row: At<'_, CommandRow>, names: &Names) -> query::Command {
    let command = row.row;
    query::Command {
        command_id: command.command_id.to_string(),
        kind: command.kind.clone(),
        charger_id: command.charge_point_id.and_then(|id| names.of(id)).map(|charger| charger.identity.to_string()),
        session_id: command.session_id.map(|id| id.to_string()),
        state: command.state.as_str().to_owned(),
        reason: command.reason.clone(),
        requested_by: query::RequestedBy {
            kind: command.requested_by.kind.to_string(),
            id: command.requested_by.id.clone(),
        },
        requested_at: command.requested_at.into(),
        settled_at: command.settled_at.map(Into::into),
        position: row.position.0,
    }
}
