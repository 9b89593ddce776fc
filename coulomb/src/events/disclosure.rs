//! Personal values in the clear: for whom and why is an event of the log before the first one is opened.

use std::sync::Arc;

use anyhow::{Context, bail};
use application::vault::{MasterKey, Vault};
use domain::disclosure::{Disclosed, Disclosure, DisclosureCommand};
use domain::envelope::{Actor, Envelope};
use domain::id::TenantId;
use event_store::EventStore;
use futures_util::FutureExt;
use schema::columns::EventTable;
use serde_json::Value;
use uuid::Uuid;

use super::filter::Selection;
use crate::command_database::CommandDatabase;
use crate::settings::Settings;

#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Personal data")]
pub struct DisclosureArgs {
    /// Open personal values with the master key. That it was done, by whom, why and on what, is recorded in the log
    #[arg(long, requires_all = ["actor", "reason"])]
    pub with_personal_data: bool,

    /// Who wants to see them: the e-mail address of an operator
    #[arg(long, value_name = "E-MAIL", requires = "with_personal_data")]
    pub actor: Option<String>,

    /// Why
    #[arg(long, value_name = "TEXT", requires = "with_personal_data", value_parser = reason)]
    pub reason: Option<String>,
}

fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("say why personal data is needed".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// What opens sealed values.
pub struct Opener {
    vault: Vault,
}

impl DisclosureArgs {
    /// None unless personal data is asked for. Otherwise the disclosure is recorded, and only then can anything be opened.
    pub async fn begin(
        &self,
        settings: &Settings,
        database: &CommandDatabase,
        store: &EventStore,
        through: &str,
        selection: &Selection,
        destination: Option<String>,
    ) -> anyhow::Result<Option<Opener>> {
        let (true, Some(actor), Some(reason)) = (self.with_personal_data, &self.actor, &self.reason) else {
            return Ok(None);
        };
        let operator: Option<(Uuid, Uuid)> =
            sqlx::query_as(include_str!("operator.sql")).bind(actor.trim()).fetch_optional(database.pool()).await?;
        let Some((account, tenant)) = operator else {
            bail!("--actor {actor} is no operator of this platform: only operators may see personal data");
        };
        let vault =
            Vault::new(database.pool().clone(), MasterKey::new(*crate::master_key::of_command(settings)?.bytes()));
        vault.check_master_key().await.context(
            "the master key is another one than that of this database (COULOMB_MASTER_KEY, or master-key in --data-dir)",
        )?;
        let filter = &selection.filter;
        let disclosed = Disclosed {
            disclosure_id: Uuid::now_v7(),
            through: through.to_owned(),
            after_position: selection.after.0,
            upto_position: selection.ends.then_some(selection.upto.0),
            aggregates: filter.aggregates.iter().map(|aggregate| aggregate.as_str().to_owned()).collect(),
            event_types: filter.event_types.clone(),
            stream: filter.stream,
            partition_key: filter.partition_key,
            destination,
        };
        let mut envelope = Envelope::new(TenantId(tenant), Actor::operator(account));
        envelope.reason = Some(reason.clone());
        record(store, envelope, disclosed).await.context("the disclosure can't be recorded, so nothing is opened")?;
        Ok(Some(Opener { vault }))
    }
}

async fn record(store: &EventStore, envelope: Envelope, disclosed: Disclosed) -> anyhow::Result<()> {
    let id = disclosed.disclosure_id;
    let envelope = Arc::new(envelope);
    let recorded = store.run::<_, event_store::session::Error, _>(&envelope, |session| {
        let command = DisclosureCommand::Disclose(disclosed.clone());
        async move { session.decide::<Disclosure>(id, id, command).await }.boxed()
    });
    let (decided, _) = recorded.await?;
    decided.map(|_| ()).map_err(anyhow::Error::from)
}

impl Opener {
    /// Puts clear values in the place of sealed ones; null in that of what was erased.
    pub async fn open(&self, table: &EventTable, members: &mut Value) -> anyhow::Result<()> {
        let opened = self.vault.open_members(table, members).await;
        opened.with_context(|| format!("a value of {} can't be opened", table.event_type))
    }
}
