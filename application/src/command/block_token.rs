use domain::id::{CommandId, TokenId};
use domain::token::{Token, TokenCommand};
use event_store::Session;

use super::Accepted;
use crate::work::{Work, decide};
use crate::{Application, CommandContext, Error};

/// An operator blocks a token: from now on it starts nothing.
#[derive(Debug, Clone)]
pub struct BlockToken {
    pub token_id: TokenId,
}

pub async fn block_token(app: &Application, context: &CommandContext, request: BlockToken) -> Result<Accepted, Error> {
    context.only_operators()?;
    if let Some(accepted) = app.answered_before(context).await? {
        return Ok(accepted);
    }
    let command_id = context.command_id();
    app.command(context, command_id, Block { token_id: request.token_id, command_id }).await
}

struct Block {
    token_id: TokenId,
    command_id: CommandId,
}

impl Work for Block {
    type Output = Accepted;

    async fn run(&self, session: &mut Session) -> Result<Accepted, Error> {
        decide::<Token>(session, self.token_id, self.token_id, TokenCommand::Block).await?;
        Ok(Accepted { token_id: Some(self.token_id), ..Accepted::of(self.command_id) })
    }
}
