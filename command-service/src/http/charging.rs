//! What an operator does for a driver.

use application::command;
use domain::id::{ConnectorId, TransactionId};
use domain::refusal::Refusal;
use schema::api::account::Secret;
use schema::api::command::{RemoteStart, RemoteStop};

use super::answer::Answer;
use super::command::Command;
use super::openapi::{KeyDocument, Refusals, TakenDocument};

/// Start a session for somebody, or for nobody in particular.
#[utoipa::path(post, path = "/api/charging/remote_start", tag = "operators", request_body = RemoteStart,
    params(KeyDocument), responses(TakenDocument, Refusals))]
pub(super) async fn remote_start(command: Command<RemoteStart>) -> Answer {
    let RemoteStart { charger_id, connector_id, id_tag } = &command.body;
    let request = command::RemoteStart {
        charger_id: charger_id.clone(),
        connector_id: ConnectorId(connector_id.get()),
        id_tag: id_tag.as_ref().map(Secret::expose).map(str::to_owned),
    };
    let accepted = command::remote_start(command.application(), &command.context, request).await?;
    Ok(command.taken(accepted).await)
}

/// Stop any session.
#[utoipa::path(post, path = "/api/charging/remote_stop", tag = "operators", request_body = RemoteStop,
    params(KeyDocument), responses(TakenDocument, Refusals))]
pub(super) async fn remote_stop(command: Command<RemoteStop>) -> Answer {
    let request = session(&command.body)?;
    let accepted = command::remote_stop(command.application(), &command.context, request).await?;
    Ok(command.taken(accepted).await)
}

fn session(body: &RemoteStop) -> Result<command::RemoteStop, Refusal> {
    let RemoteStop { session_id, charger_id, transaction_id } = body.clone();
    match (session_id, charger_id, transaction_id) {
        (Some(session_id), None, None) => Ok(command::RemoteStop::Session(session_id)),
        (Some(_), _, _) => Err(Refusal::invalid("session_id", "goes without charger_id and transaction_id")),
        (None, Some(charger_id), Some(transaction_id)) => {
            Ok(command::RemoteStop::Transaction { charger_id, transaction_id: TransactionId(transaction_id) })
        }
        (None, Some(_), None) => Err(Refusal::invalid("transaction_id", "must say which transaction of the charger")),
        (None, None, Some(_)) => Err(Refusal::invalid("charger_id", "must say whose transaction it is")),
        (None, None, None) => {
            Err(Refusal::invalid("session_id", "or charger_id and transaction_id must say what to stop"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_session_is_named_in_one_of_two_ways() {
        let id = "018f4b4c-0000-7000-8000-000000000001";
        let table = [
            (json!({"session_id": id}), None),
            (json!({"charger_id": "CP001", "transaction_id": 7}), None),
            (json!({"session_id": id, "charger_id": "CP001"}), Some("session_id")),
            (json!({"charger_id": "CP001"}), Some("transaction_id")),
            (json!({"transaction_id": "7"}), Some("charger_id")),
            (json!({}), Some("session_id")),
        ];
        for (body, wrong) in table {
            let field = session(&serde_json::from_value(body.clone()).unwrap()).err().map(|refusal| match refusal {
                Refusal::Invalid { field, .. } => field,
                other => panic!("{other}"),
            });
            assert_eq!(field, wrong, "{body}");
        }
    }
}
