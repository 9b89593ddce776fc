use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use application::Application;
use application::auth::{Caller, Role};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use uuid::Uuid;

use super::problem::Failed;
use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::limit::{AddressKey, Exhausted, Limiter, Rate, TrustedProxies};

/// How often requests are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRates {
    /// Requests of any kind from one address, which many phones of one mobile network may share.
    pub by_address: Rate,
    pub by_driver: Rate,
    pub by_operator: Rate,
}

impl Default for RequestRates {
    fn default() -> Self {
        Self {
            by_address: Rate { burst: 2000, refill: Duration::from_millis(2) },
            by_driver: Rate { burst: 60, refill: Duration::from_millis(200) },
            by_operator: Rate { burst: 2000, refill: Duration::from_millis(5) },
        }
    }
}

/// What the handlers share. A cheap handle.
#[derive(Clone)]
pub struct Api {
    pub application: Application,
    pub accounts: Accounts,
    pub clock: Clock,
    limits: Arc<Limits>,
}

struct Limits {
    trusted_proxies: TrustedProxies,
    by_address: Limiter<AddressKey>,
    by_driver: Limiter<Uuid>,
    by_operator: Limiter<Uuid>,
}

impl Api {
    pub fn new(
        application: Application,
        accounts: Accounts,
        rates: RequestRates,
        trusted_proxies: TrustedProxies,
        clock: Clock,
    ) -> Self {
        let limits = Limits {
            trusted_proxies,
            by_address: Limiter::new(rates.by_address),
            by_driver: Limiter::new(rates.by_driver),
            by_operator: Limiter::new(rates.by_operator),
        };
        Self { application, accounts, clock, limits: Arc::new(limits) }
    }

    pub(super) fn take_for(&self, caller: &Caller) -> Result<(), Exhausted> {
        let limiter = match caller.role {
            Role::Driver => &self.limits.by_driver,
            Role::Operator => &self.limits.by_operator,
        };
        limiter.take(caller.user_id, self.clock.now())
    }
}

/// The address that a request counts for. Taking it from the request counts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientAddress(pub AddressKey);

impl FromRequestParts<Api> for ClientAddress {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failed> {
        // Without a peer, which only a router that is not served has, all count as one.
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::from([0; 4]), |ConnectInfo(peer)| peer.ip());
        let address = api.limits.trusted_proxies.client(peer, &parts.headers);
        api.limits.by_address.take(address, api.clock.now())?;
        Ok(Self(address))
    }
}
