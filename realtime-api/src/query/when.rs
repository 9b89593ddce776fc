//! Queries as of now, or as of a moment that has been. Everything that a resource is made of is as of the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::id::{ChargePointId, PlanId, TenantId};
use domain::refusal::Refusal;
use history::{Asked, Moment};
use schema::log::Position;
use schema::view::{Found, Model, Page, Query, Reached, Row, RowChange};

use crate::directory::{Names, Places, Scene};
use crate::failed::Failed;
use crate::state::{Api, invalid, order};

/// As of when a query is answered.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// With everything up to a position, at the least; none: as new as answers are.
    Now(Option<Reached>),
    Then(Moment),
}

impl When {
    pub fn moment(&self) -> Option<&Moment> {
        match self {
            Self::Now(_) => None,
            Self::Then(moment) => Some(moment),
        }
    }

    /// For what goes on from there.
    pub fn no_older_than(self, reached: Reached) -> Self {
        match self {
            Self::Now(_) => Self::Now(Some(reached)),
            Self::Then(moment) => Self::Then(moment),
        }
    }
}

/// What a query says of it.
#[derive(Debug, Default, Clone, Copy)]
pub struct WhenAsked<'q> {
    pub as_of: Option<&'q str>,
    pub min_position: Option<i64>,
    /// Of a page after the first.
    pub paged: Option<Paged>,
}

/// As of when the page before was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paged {
    /// As it was now, and how far the views were. The next one may be answered by another process, or from another database:
    /// it contains that, too, or what has changed in between would be in neither.
    Now(Option<Reached>),
    Then(Position),
}

impl Api {
    /// # Errors
    /// When what is asked for does not go together, or has not come yet.
    pub async fn when(&self, asked: WhenAsked<'_>) -> Result<When, Failed> {
        let WhenAsked { as_of, min_position, paged } = asked;
        let Some(as_of) = as_of else {
            let page_before = match paged {
                Some(Paged::Then(position)) => {
                    return Ok(When::Then(self.past.moment(Asked::Position(position)).await?));
                }
                Some(Paged::Now(reached)) => self.of_log(reached).await,
                None => None,
            };
            let asked = self.at_least(min_position).await?;
            return Ok(When::Now(page_before.into_iter().chain(asked).max_by_key(order)));
        };
        if min_position.is_some() {
            return Err(
                invalid("min_position", "does not go with as_of, which waits for nothing; leave one out").into()
            );
        }
        let asked: Asked = as_of.parse().map_err(|error| invalid("as_of", &format!("{error}")))?;
        let moment = self.past.moment(asked).await?;
        match paged {
            None => Ok(When::Then(moment)),
            Some(Paged::Then(position)) if position == moment.position => Ok(When::Then(moment)),
            Some(Paged::Then(position)) => {
                let why =
                    format!("was given as next of the list as of {position}; leave as_of out, or the cursor to begin");
                Err(invalid("cursor", &why).into())
            }
            Some(Paged::Now(_)) => {
                Err(invalid("cursor", "was given as next of the list as it is now; leave it out to begin").into())
            }
        }
    }

    pub async fn list(&self, query: &Query, when: &When) -> Result<Page, Failed> {
        match when {
            When::Now(floor) => Ok(self.views_since(*floor).list(query).await?),
            When::Then(moment) => Ok(self.past.list(query, moment).await?),
        }
    }

    /// One row; none where there is none, or it was removed.
    pub async fn get(&self, model: Model, key: &str, when: &When) -> Result<Found<Option<Arc<RowChange>>>, Failed> {
        match when {
            When::Now(floor) => Ok(self.views_since(*floor).get(model, key).await?),
            When::Then(moment) => {
                let rows = self.past.get(model, key, moment).await?;
                Ok(Found { reached: reached(moment), rows })
            }
        }
    }

    /// Rows of charge points with what they are composed with.
    pub async fn chargers(&self, query: &Query, when: &When) -> Result<(Page, Scene), Failed> {
        match when {
            When::Now(floor) => self.staged(query, *floor).await,
            When::Then(moment) => {
                let page = self.past.list(query, moment).await?;
                let scene = self.scene_then(&page.rows, moment).await?;
                Ok((page, scene))
            }
        }
    }

    /// The charge point of this name, with what it is composed with.
    pub async fn charger_then(
        &self,
        tenant_id: TenantId,
        identity: &str,
        moment: &Moment,
    ) -> Result<(Arc<RowChange>, Scene), Failed> {
        let row = self.past.charge_point_called(tenant_id, identity, moment).await?.ok_or(Refusal::ChargerUnknown)?;
        let scene = self.scene_then(std::slice::from_ref(&row), moment).await?;
        Ok((row, scene))
    }

    async fn scene_then(&self, chargers: &[Arc<RowChange>], moment: &Moment) -> Result<Scene, Failed> {
        let mut places = Places::default();
        let (mut site_ids, mut tariff_ids) = (BTreeSet::new(), BTreeSet::new());
        for change in chargers {
            if let Row::ChargePoints(row) = &change.row {
                site_ids.extend(row.charge_point.site_id);
            }
        }
        for change in self.rows_then(Model::Sites, site_ids, moment).await? {
            if let Row::Sites(row) = &change.row {
                tariff_ids.extend(row.site.details.as_ref().and_then(|details| details.tariff_id));
            }
            places.take(&change);
        }
        for change in self.rows_then(Model::Tariffs, tariff_ids, moment).await? {
            places.take(&change);
        }
        let (generation, upto) = (moment.generation, moment.position);
        Ok(Scene { generation, upto, places: Arc::new(places) })
    }

    /// A plan, to compose the caller with.
    pub async fn plan_then(&self, plan_id: Option<PlanId>, moment: &Moment) -> Result<Arc<Places>, Failed> {
        let mut places = Places::default();
        let plans = self.rows_then(Model::Plans, plan_id.into_iter().collect(), moment).await?;
        plans.iter().for_each(|change| places.take(change));
        Ok(Arc::new(places))
    }

    /// The names of the charge points of sessions or commands.
    pub async fn names(&self, rows: &[Arc<RowChange>], when: &When) -> Result<Arc<Names>, Failed> {
        let When::Then(moment) = when else { return Ok(Arc::clone(&self.hub.names)) };
        let mut ids = BTreeSet::new();
        for change in rows {
            match &change.row {
                Row::Sessions(row) => ids.extend(row.session.charge_point_id),
                Row::Commands(row) => ids.extend(row.charge_point_id),
                _ => {}
            }
        }
        let names = Names::default();
        for change in self.rows_then(Model::ChargePoints, ids, moment).await? {
            if let Row::ChargePoints(row) = &change.row {
                names.take(row, change.removed);
            }
        }
        Ok(Arc::new(names))
    }

    /// The charge point that calls itself so, to choose rows by.
    pub async fn charge_point_called(
        &self,
        tenant_id: TenantId,
        charger_id: &str,
        when: &When,
    ) -> Result<ChargePointId, Failed> {
        let found = match when {
            When::Now(_) => self.hub.names.find(tenant_id, charger_id),
            When::Then(moment) => {
                let found = self.past.charge_point_called(tenant_id, charger_id, moment).await?;
                found.and_then(|change| match &change.row {
                    Row::ChargePoints(row) => Some(row.charge_point_id),
                    _ => None,
                })
            }
        };
        Ok(found.ok_or(Refusal::ChargerUnknown)?)
    }

    async fn rows_then<I: ToString + Send>(
        &self,
        model: Model,
        ids: BTreeSet<I>,
        moment: &Moment,
    ) -> Result<Vec<Arc<RowChange>>, Failed> {
        let keys: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        Ok(self.past.get_all(model, &keys, moment).await?)
    }
}

pub fn reached(moment: &Moment) -> Reached {
    Reached { generation: moment.generation, position: moment.position }
}
