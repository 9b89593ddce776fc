//! What resources of many rows are made of beside their own row: sites, tariffs, plans and the names of charge points.
//! Kept in memory by the hub, as of one position.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::id::{ChargePointId, PlanId, SiteId, TariffId, TenantId};
use schema::log::{Generation, Position};
use schema::view::{ChargePointRow, PlanRow, Row, RowChange, SiteRow, TariffRow};

/// A row and the position of its last change.
#[derive(Debug)]
pub struct Placed<R> {
    pub position: Position,
    pub row: R,
}

/// The rows that others are composed with, complete up to a position. Cheap to clone: a reader keeps the one it began with.
#[derive(Debug, Clone)]
pub struct Scene {
    pub generation: Generation,
    pub upto: Position,
    pub places: Arc<Places>,
}

#[derive(Debug, Default, Clone)]
pub struct Places {
    sites: HashMap<SiteId, Arc<Placed<SiteRow>>>,
    tariffs: HashMap<TariffId, Arc<Placed<TariffRow>>>,
    plans: HashMap<PlanId, Arc<Placed<PlanRow>>>,
}

impl Places {
    pub fn site(&self, id: SiteId) -> Option<&Placed<SiteRow>> {
        self.sites.get(&id).map(AsRef::as_ref)
    }

    pub fn tariff(&self, id: TariffId) -> Option<&Placed<TariffRow>> {
        self.tariffs.get(&id).map(AsRef::as_ref)
    }

    pub fn plan(&self, id: PlanId) -> Option<&Placed<PlanRow>> {
        self.plans.get(&id).map(AsRef::as_ref)
    }

    /// The sites whose chargers look different when this tariff does.
    pub fn sites_with(&self, tariff_id: TariffId) -> impl Iterator<Item = SiteId> {
        self.sites
            .values()
            .filter(move |site| site.row.site.details.as_ref().and_then(|details| details.tariff_id) == Some(tariff_id))
            .map(|site| site.row.site_id)
    }

    /// Whether any of a tenant's sites or tariffs has changed since.
    pub fn changed_after(&self, tenant_id: TenantId, since: Position) -> bool {
        self.sites.values().any(|site| site.row.tenant_id == tenant_id && site.position > since)
            || self.tariffs.values().any(|tariff| tariff.row.tenant_id == tenant_id && tariff.position > since)
    }

    /// Takes a site, tariff or plan in; other rows change nothing.
    pub fn take(&mut self, change: &RowChange) {
        fn put<K: std::hash::Hash + Eq, R: Clone>(
            map: &mut HashMap<K, Arc<Placed<R>>>,
            key: K,
            row: &R,
            change: &RowChange,
        ) {
            if map.get(&key).is_some_and(|present| present.position > change.position) {
                return;
            }
            match change.removed {
                true => map.remove(&key),
                false => map.insert(key, Arc::new(Placed { position: change.position, row: row.clone() })),
            };
        }
        match &change.row {
            Row::Sites(row) => put(&mut self.sites, row.site_id, row.as_ref(), change),
            Row::Tariffs(row) => put(&mut self.tariffs, row.tariff_id, row.as_ref(), change),
            Row::Plans(row) => put(&mut self.plans, row.plan_id, row.as_ref(), change),
            Row::ChargePoints(_)
            | Row::Sessions(_)
            | Row::MeterValues(_)
            | Row::Commands(_)
            | Row::Drivers(_)
            | Row::Tokens(_) => {}
        }
    }
}

/// What is known of every charge point wherever one is named.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    pub tenant_id: TenantId,
    /// What it calls itself: its public name.
    pub identity: Arc<str>,
    /// Whether the number that it uses itself is the outlet's `connector_id`; otherwise it is the `evse_id`.
    pub numbers_by_connector: bool,
}

/// The names of charge points. No position is theirs: a name is a label, not a state.
#[derive(Debug, Default)]
pub struct Names {
    maps: RwLock<NameMaps>,
}

#[derive(Debug, Default)]
struct NameMaps {
    by_id: HashMap<ChargePointId, Arc<Named>>,
    by_identity: HashMap<(TenantId, Arc<str>), ChargePointId>,
}

impl Names {
    pub fn of(&self, id: ChargePointId) -> Option<Arc<Named>> {
        self.maps.read().unwrap_or_else(PoisonError::into_inner).by_id.get(&id).cloned()
    }

    pub fn find(&self, tenant_id: TenantId, identity: &str) -> Option<ChargePointId> {
        let maps = self.maps.read().unwrap_or_else(PoisonError::into_inner);
        maps.by_identity.get(&(tenant_id, Arc::from(identity))).copied()
    }

    pub fn take(&self, row: &ChargePointRow, removed: bool) {
        let point = &row.charge_point;
        let Some(identity) = &point.identity else { return };
        let present = self.of(row.charge_point_id);
        let named = Named {
            tenant_id: row.tenant_id,
            identity: Arc::from(identity.as_str()),
            numbers_by_connector: point.numbers_by_connector(),
        };
        if !removed && present.as_deref() == Some(&named) {
            return;
        }
        let mut maps = self.maps.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = maps.by_id.remove(&row.charge_point_id) {
            maps.by_identity.remove(&(former.tenant_id, former.identity.clone()));
        }
        if !removed {
            maps.by_identity.insert((named.tenant_id, named.identity.clone()), row.charge_point_id);
            maps.by_id.insert(row.charge_point_id, Arc::new(named));
        }
    }
}
