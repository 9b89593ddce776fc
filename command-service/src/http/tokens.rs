//! Tokens, once they are out there.

use application::command;
use domain::refusal::Refusal;
use schema::api::command::BlockToken;

use super::answer::Answer;
use super::command::Command;
use super::openapi::{KeyDocument, Refusals, TakenDocument};

/// Block a token: from now on it starts nothing.
#[utoipa::path(post, path = "/api/tokens/{token_id}/block", tag = "operators", request_body = Option<BlockToken>,
    params(("token_id" = uuid::Uuid, Path), KeyDocument), responses(TakenDocument, Refusals))]
pub(super) async fn block_token(command: Command<BlockToken>) -> Answer {
    let token_id = command.target.parse().map_err(|_| Refusal::TokenUnknown)?;
    let request = command::BlockToken { token_id };
    let accepted = command::block_token(command.application(), &command.context, request).await?;
    Ok(command.taken(accepted).await)
}
