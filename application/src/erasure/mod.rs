//! A person's right to be forgotten: their account and their keys are destroyed, and the log says that it was done.
//!
//! The events stay as they are. What was sealed in them, and in everything that was made of them, can't be opened by anybody
//! any more. What an invoice needs (times, energy, prices) is under a random id, which then stands for nobody.

mod exports;
mod rows;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::driver::{Driver, DriverCommand};
use domain::envelope::{Actor, Envelope};
use domain::id::{DriverId, TenantId, TokenId};
use domain::refusal::Refusal;
use domain::session::SessionState;
use domain::token::{Token, TokenCommand};
use event_store::{Appended, Session};
use schema::log::Position;
use schema::view::{Column, Model, Query, Row};

use crate::work::{Work, decide};
use crate::{Application, CommandContext, Error};

pub use exports::{ExportInClear, disclose_person};
pub use rows::Erasures;

/// How long it waits for the read models to contain what it has to look at.
const VIEWS_WAIT_MAX: Duration = Duration::from_secs(5);
const VIEWS_LOOK_INTERVAL: Duration = Duration::from_millis(25);
/// Tokens that one append blocks.
const TOKENS_AT_ONCE: usize = 100;
/// Sessions that are asked for, to see whether any is open.
const ONE: u32 = 1;

/// What was done, and what can't be: whoever has shown values in the clear has to see to it that those are deleted.
#[derive(Debug, Clone)]
pub struct Erased {
    pub driver_id: DriverId,
    /// Of the event, or of the end of the log where it had been appended before.
    pub position: Position,
    /// How many tokens were the person's.
    pub tokens: usize,
    pub exports_in_clear: Vec<ExportInClear>,
}

/// Erases a driver: an operator does it, or the driver themself. To do it again completes what was cut off, and changes
/// nothing otherwise.
///
/// # Errors
/// [`Refusal::DriverUnknown`]; [`Refusal::SessionOpen`] while they charge; [`Error::Behind`] while the read models are too far
/// behind to know.
pub async fn erase_driver(app: &Application, context: &CommandContext, driver_id: DriverId) -> Result<Erased, Error> {
    if !context.caller.is_operator() && context.caller.driver_id() != Some(driver_id) {
        return Err(Refusal::Forbidden("Only operators of the network may erase somebody else.").into());
    }
    let tenant_id = context.caller.tenant_id;
    erase(app, tenant_id, driver_id, context.envelope(context.command_id())).await
}

/// Carries on what was cut off some time ago. Answers how many there were.
///
/// # Errors
/// When the database can't be reached. An erasure that can't be completed yet stays.
pub async fn carry_on(app: &Application) -> Result<usize, Error> {
    let open = app.0.erasures.cut_off().await?;
    for (tenant_id, driver_id) in &open {
        let envelope = Arc::new(Envelope::new(*tenant_id, Actor::system("erasure")));
        match erase(app, *tenant_id, *driver_id, envelope).await {
            Ok(_) => tracing::info!(%driver_id, "an erasure that was cut off is complete"),
            Err(error) => tracing::warn!(%driver_id, %error, "an erasure that was cut off is not complete yet"),
        }
    }
    Ok(open.len())
}

async fn erase(
    app: &Application,
    tenant_id: TenantId,
    driver_id: DriverId,
    envelope: Arc<Envelope>,
) -> Result<Erased, Error> {
    let driver = app.store().load::<Driver>(driver_id).await?;
    if driver.state.driver_id.is_none() {
        return Err(Refusal::DriverUnknown.into());
    }
    if !driver.state.erased {
        app.views_contain(app.store().head().await?.0).await?;
        if has_open_session(app, driver_id).await? {
            app.0.erasures.abandon(driver_id).await?;
            return Err(Refusal::SessionOpen.into());
        }
    }
    app.0.erasures.begin(tenant_id, driver_id).await?;
    let (_, appended) = app.work(&envelope, Arc::new(Erase { driver_id })).await?;
    let position = position(app, appended).await?;
    app.0.erasures.destroy(driver_id).await?;
    app.forget_erased(driver_id);
    // Whatever was registered before that event is known by then, and nothing is after it.
    app.views_contain(position).await?;
    let tokens = tokens_of(app, driver_id).await?;
    for some in tokens.chunks(TOKENS_AT_ONCE) {
        app.work(&envelope, Arc::new(BlockAll { token_ids: some.to_vec() })).await?;
    }
    app.0.erasures.complete(driver_id, &tokens).await?;
    app.tokens().forget();
    let exports_in_clear = app.exports_in_clear(driver_id, &tokens).await?;
    Ok(Erased { driver_id, position, tokens: tokens.len(), exports_in_clear })
}

async fn position(app: &Application, appended: Option<Appended>) -> Result<Position, Error> {
    match appended {
        Some(appended) => Ok(appended.position()),
        None => Ok(app.store().head().await?.0),
    }
}

/// A session that begins in the moment between this look and the event has nothing personal in it, and is priced as ever.
async fn has_open_session(app: &Application, driver_id: DriverId) -> Result<bool, Error> {
    let open = [SessionState::Requested, SessionState::Active, SessionState::Stopping];
    let query = Query::of(Model::Sessions)
        .with(Column::DriverId, driver_id)
        .with_any(Column::State, open.map(SessionState::as_str))
        .limit(ONE);
    Ok(!app.0.views.list(&query).await.map_err(Error::unavailable)?.rows.is_empty())
}

/// Every token that was ever given to the driver.
/// # Errors
/// When the read models can't be read.
pub async fn tokens_of(app: &Application, driver_id: DriverId) -> Result<Vec<TokenId>, Error> {
    let mut query = Query::of(Model::Tokens).with(Column::DriverId, driver_id);
    let mut tokens = vec![];
    loop {
        let page = app.0.views.list(&query).await.map_err(Error::unavailable)?;
        tokens.extend(page.rows.iter().filter_map(|change| match &change.row {
            Row::Tokens(row) => Some(row.token_id),
            _ => None,
        }));
        match page.next {
            Some(next) => query = query.after(Some(next)),
            None => return Ok(tokens),
        }
    }
}

impl Application {
    /// Waits, a little, until the read models contain everything up to a position.
    async fn views_contain(&self, position: Position) -> Result<(), Error> {
        let since = Instant::now();
        while self.0.views.reached().await.map_err(Error::unavailable)?.position < position {
            if since.elapsed() > VIEWS_WAIT_MAX {
                return Err(Error::Behind);
            }
            tokio::time::sleep(VIEWS_LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// What this process still has of a person in memory.
    fn forget_erased(&self, driver_id: DriverId) {
        self.vault().forget();
        self.tokens().forget();
        self.verifier().refuse_also(driver_id.0);
    }
}

struct Erase {
    driver_id: DriverId,
}

impl Work for Erase {
    type Output = ();

    async fn run(&self, session: &mut Session) -> Result<(), Error> {
        decide::<Driver>(session, self.driver_id, self.driver_id, DriverCommand::Erase).await?;
        Ok(())
    }
}

struct BlockAll {
    token_ids: Vec<TokenId>,
}

impl Work for BlockAll {
    type Output = ();

    async fn run(&self, session: &mut Session) -> Result<(), Error> {
        for token_id in &self.token_ids {
            decide::<Token>(session, *token_id, *token_id, TokenCommand::Block).await?;
        }
        Ok(())
    }
}
