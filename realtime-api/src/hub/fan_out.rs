//! The task between the view feed and the shards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::id::{SiteId, TenantId};
use schema::log::Position;
use schema::view::{
    self, Column, FeedStart, Model, PAGE_ROWS_MAX, Query, Row, RowChange, ViewBatch, ViewFeed, ViewFeeds, ViewStore,
};
use tokio::sync::{mpsc, watch};

use super::mailbox::Signal;
use super::shard::Shard;
use super::tracker::Tracker;
use super::update::{Changes, ResourceKey, Update};
use crate::directory::{Names, Places, Scene};
use crate::trace::Traces;

/// Batches that wait for a shard; then the hub waits. Shards never wait for sockets, so this passes quickly.
const SHARD_QUEUE_BATCHES: usize = 64;
/// After the feed or the database failed.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// What the rest of the service sees of the hub. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HubHandle {
    pub names: Arc<Names>,
    scene: watch::Receiver<Scene>,
    shards: Arc<[Arc<Shard>]>,
}

impl HubHandle {
    /// The surroundings as of now, and how far the hub is.
    pub fn scene(&self) -> Scene {
        self.scene.borrow().clone()
    }

    /// Returns when the hub is at `position`; never, if it has ended.
    pub async fn reached(&self, position: Position) {
        let mut scene = self.scene.clone();
        if scene.wait_for(|scene| scene.upto >= position).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }
}

pub struct Hub {
    views: ViewStore,
    feed: Box<dyn ViewFeed>,
    names: Arc<Names>,
    scene: watch::Sender<Scene>,
    places: Places,
    tracker: Tracker,
    shards: Arc<[Arc<Shard>]>,
    queues: Vec<mpsc::Sender<Arc<Changes>>>,
    traces: Traces,
}

impl Hub {
    /// Loads the directory; call [`Hub::run`] then. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the read models can't be read.
    pub async fn start(
        views: ViewStore,
        feeds: &dyn ViewFeeds,
        shards: usize,
        traces: Traces,
    ) -> Result<(Self, HubHandle), view::Error> {
        let mut feed = feeds.follow(FeedStart::Now);
        let now = feed.next().await?;
        let names = Arc::new(Names::default());
        // After the feed has begun, so that what changes meanwhile comes with it.
        let places = load(&views, &names).await?;
        let scene = Scene { generation: now.generation, upto: now.upto, places: Arc::new(places.clone()) };
        let scene = watch::Sender::new(scene);
        let (shards, queues): (Vec<_>, Vec<_>) = (0..shards.max(1)).map(|_| start_shard(now.upto)).unzip();
        let shards: Arc<[Arc<Shard>]> = shards.into();
        let handle = HubHandle { names: names.clone(), scene: scene.subscribe(), shards: shards.clone() };
        let tracker = Tracker::new(now.upto);
        Ok((Self { views, feed, names, scene, places, tracker, shards, queues, traces }, handle))
    }

    /// Until it is dropped. A feed or database that fails is tried again; sockets stay, and are told nothing wrong.
    pub async fn run(mut self) {
        loop {
            match self.feed.next().await {
                Ok(batch) => self.take(batch).await,
                Err(error) => rest("the views can't be followed", &error).await,
            }
        }
    }

    async fn take(&mut self, batch: ViewBatch) {
        let taken_at = Instant::now();
        if batch.generation != self.scene.borrow().generation {
            return self.begin_again(batch).await;
        }
        let after = self.tracker.upto();
        let rows = self.tracker.take(batch);
        let upto = self.tracker.upto();
        if upto == after {
            return;
        }
        let updates = self.updates(&rows, upto).await;
        metrics::gauge!("coulomb_realtime_position").set(upto.0 as f64);
        self.traces.log(after, upto, &updates);
        // Before the shards get the batch: who reads the scene and then the tables misses nothing of what a shard has
        // delivered (see `socket::opening`).
        let places = rows.iter().any(|row| is_place(row)).then(|| Arc::new(self.places.clone()));
        self.scene.send_modify(|scene| {
            scene.upto = upto;
            if let Some(places) = places {
                scene.places = places;
            }
        });
        let changes = Arc::new(Changes { after, upto, updates, taken_at });
        for queue in &self.queues {
            // A shard ends with the hub only.
            let _ = queue.send(changes.clone()).await;
        }
    }

    async fn updates(&mut self, rows: &[Arc<RowChange>], upto: Position) -> Vec<Arc<Update>> {
        let restaged = self.take_surroundings(rows);
        let places = match rows.iter().any(|row| is_place(row)) {
            true => Arc::new(self.places.clone()),
            false => self.scene.borrow().places.clone(),
        };
        let stood_there = chargers_at(&self.views, &restaged, upto).await;
        let mut newest: BTreeMap<ResourceKey, Update> = BTreeMap::new();
        for change in stood_there.iter().chain(rows) {
            if let Some(update) = Update::of(change, &places, &self.names) {
                newest.insert(update.key, update);
            }
        }
        let mut updates: Vec<_> = newest.into_values().map(Arc::new).collect();
        updates.sort_by_key(|update| update.position);
        updates
    }

    /// Takes in what others are composed with, before anything is composed. Answers the sites whose chargers look
    /// different now.
    fn take_surroundings(&mut self, rows: &[Arc<RowChange>]) -> BTreeSet<(TenantId, SiteId)> {
        let mut restaged = BTreeSet::new();
        for change in rows {
            self.places.take(change);
            match &change.row {
                Row::ChargePoints(row) => self.names.take(row, change.removed),
                Row::Sites(row) => {
                    restaged.insert((row.tenant_id, row.site_id));
                }
                Row::Tariffs(row) => {
                    restaged.extend(self.places.sites_with(row.tariff_id).map(|site_id| (row.tenant_id, site_id)));
                }
                Row::Sessions(_)
                | Row::MeterValues(_)
                | Row::Commands(_)
                | Row::Drivers(_)
                | Row::Tokens(_)
                | Row::Plans(_) => {}
            }
        }
        restaged
    }

    /// Another history: what was known may never have been. Clients come back and get snapshots.
    async fn begin_again(&mut self, batch: ViewBatch) {
        tracing::warn!(generation = batch.generation.0, upto = batch.upto.0, "the log has another generation");
        // The feed says it once: until the tables can be read, it waits.
        self.places = loop {
            match load(&self.views, &self.names).await {
                Ok(places) => break places,
                Err(error) => rest("what resources are composed with can't be read", &error).await,
            }
        };
        let delivered = self.tracker.upto();
        self.tracker = Tracker::new(batch.upto);
        // Before anybody sees the new scene: a position of the former history would hide what stands below it in this one.
        for (shard, queue) in self.shards.iter().zip(&self.queues) {
            tokio::select! {
                () = shard.completed(delivered) => {}
                () = queue.closed() => tracing::error!("a share of the sockets is told nothing any more"),
            }
        }
        for shard in self.shards.iter() {
            shard.begin_again(batch.upto);
        }
        let places = Arc::new(self.places.clone());
        self.scene.send_replace(Scene { generation: batch.generation, upto: batch.upto, places });
        for mailbox in self.shards.iter().flat_map(|shard| shard.sockets()) {
            mailbox.call(Signal::RESET);
        }
    }
}

/// After a failure, before it is tried again.
async fn rest(trouble: &str, error: &view::Error) {
    tracing::warn!(error = error as &dyn std::error::Error, "{trouble}, trying again");
    metrics::counter!("coulomb_realtime_feed_failures_total").increment(1);
    tokio::time::sleep(RETRY_AFTER).await;
}

fn start_shard(upto: Position) -> (Arc<Shard>, mpsc::Sender<Arc<Changes>>) {
    let (queue, batches) = mpsc::channel(SHARD_QUEUE_BATCHES);
    let shard = Arc::new(Shard::new(upto));
    tokio::spawn(shard.clone().run(batches));
    (shard, queue)
}

fn is_place(change: &RowChange) -> bool {
    matches!(change.row, Row::Sites(_) | Row::Tariffs(_) | Row::Plans(_))
}

/// The chargers whose surroundings have changed. One that has itself changed since comes with a later batch, composed
/// with the new surroundings then.
async fn chargers_at(views: &ViewStore, sites: &BTreeSet<(TenantId, SiteId)>, upto: Position) -> Vec<Arc<RowChange>> {
    let mut chargers = Vec::new();
    for (tenant_id, site_id) in sites {
        let mut query = Query::of(Model::ChargePoints)
            .with(Column::TenantId, tenant_id)
            .with(Column::SiteId, site_id)
            .limit(PAGE_ROWS_MAX);
        loop {
            match views.list(&query).await {
                Ok(page) => {
                    chargers.extend(page.rows.into_iter().filter(|charger| charger.position <= upto));
                    let Some(next) = page.next else { break };
                    query = query.after(Some(next));
                }
                // The batch was taken from the feed and must not be lost: without these rows it waits.
                Err(error) => rest("a site's chargers can't be read", &error).await,
            }
        }
    }
    chargers
}

/// Every site, tariff, plan and name.
async fn load(views: &ViewStore, names: &Names) -> Result<Places, view::Error> {
    let mut places = Places::default();
    for model in [Model::Sites, Model::Tariffs, Model::Plans, Model::ChargePoints] {
        let mut query = Query::of(model).limit(PAGE_ROWS_MAX);
        loop {
            let page = views.list(&query).await?;
            for change in &page.rows {
                places.take(change);
                if let Row::ChargePoints(row) = &change.row {
                    names.take(row, change.removed);
                }
            }
            let Some(next) = page.next else { break };
            query = query.after(Some(next));
        }
    }
    Ok(places)
}
