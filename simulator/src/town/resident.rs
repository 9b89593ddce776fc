//! The life of one driver.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::pace::{Pace, some};
use super::places::{Place, Places};
use super::{CommandWitness, ResidentConfig};
use crate::charger::{Car, Impossible};
use crate::phone::{Accepted, Account, Error, Line, LineConfig, Phone, TokenBy};

/// Before somebody tries to log in again.
const LOGIN_WAIT: Duration = Duration::from_secs(1);
/// How often somebody who waits looks at the charger's own display.
const GLANCE: Duration = Duration::from_millis(250);

pub(super) struct Resident {
    pub http: String,
    pub ws: String,
    pub client: reqwest::Client,
    pub config: ResidentConfig,
    pub places: Places,
    pub pace: Pace,
    pub witness: Option<Arc<dyn CommandWitness>>,
    pub evening: CancellationToken,
    pub rng: SmallRng,
}

/// Why a visit ended before its time. The person goes home and comes another day.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Phone(#[from] Error),
    #[error(transparent)]
    Charger(#[from] Impossible),
    #[error("the wait was too long")]
    Impatient,
}

impl Resident {
    pub async fn live(mut self) {
        let evening = self.evening.clone();
        let Some(phone) = evening.run_until_cancelled(self.pick_up_phone()).await else { return };
        loop {
            let idle = some(&self.pace.idle, &mut self.rng);
            if evening.run_until_cancelled(sleep(idle)).await.is_none() {
                return;
            }
            let Some(place) = self.places.find(&mut self.rng) else { continue };
            let visit = self.visit(&phone, &place).await;
            // Whatever has happened, the car goes.
            let _ = place.charger.unplug(place.outlet).await;
            if let Err(trouble) = visit {
                let (charger, email) = (place.charger.id(), &self.config.person.email);
                tracing::debug!(%trouble, charger, email, "a visit ended early");
            }
        }
    }

    async fn pick_up_phone(&mut self) -> Phone {
        loop {
            let person = self.config.person.clone();
            match Account::login_or_register(self.client.clone(), &self.http, person).await {
                Ok(account) => {
                    let token_by = match self.rng.random_range(0..3) {
                        0 => TokenBy::Header,
                        1 => TokenBy::Subprotocol,
                        _ => TokenBy::Message,
                    };
                    let line = Line::spawn(LineConfig {
                        ws: self.ws.clone(),
                        account: account.clone(),
                        topics: vec!["me".to_owned()],
                        token_by,
                        events: None,
                        seed: self.rng.random(),
                    });
                    return Phone { account, line };
                }
                Err(error) => {
                    tracing::debug!(%error, email = self.config.person.email, "can't log in");
                    sleep(error.retry_after().unwrap_or_default().max(LOGIN_WAIT)).await;
                }
            }
        }
    }

    fn car(&mut self) -> Car {
        let charge = self.rng.random_range(0.08..0.7);
        Car {
            battery_wh: self.rng.random_range(38_000.0..95_000.0),
            charge,
            power_max_w: self.rng.random_range(50_000.0..170_000.0),
            charge_limit: self.rng.random_range(charge + 0.1..=1.0),
        }
    }

    async fn visit(&mut self, phone: &Phone, place: &Place) -> Result<(), Trouble> {
        let topic = format!("charger:{}", place.charger.id());
        phone.line.subscribe(topic.as_str()).await?;
        let card = self.config.card.clone().filter(|_| self.rng.random_bool(0.2));
        let charged = match card {
            Some(card) => self.charge_by_card(place, &card).await,
            None => self.charge_by_phone(phone, place).await,
        };
        phone.line.unsubscribe(topic).await?;
        charged
    }

    async fn charge_by_card(&mut self, place: &Place, card: &str) -> Result<(), Trouble> {
        let Place { charger, outlet, .. } = place;
        let car = self.car();
        charger.plug(*outlet, car).await?;
        charger.swipe(*outlet, card).await?;
        let charging = |busy: bool| charger.wait_for(move |view| view.outlets[*outlet - 1].in_transaction == busy);
        timeout(self.pace.patience, charging(true)).await.map_err(|_| Trouble::Impatient)??;
        sleep(some(&self.pace.charge, &mut self.rng)).await;
        charger.swipe(*outlet, card).await?;
        timeout(self.pace.patience, charging(false)).await.map_err(|_| Trouble::Impatient)??;
        Ok(())
    }

    async fn charge_by_phone(&mut self, phone: &Phone, place: &Place) -> Result<(), Trouble> {
        let Place { charger, outlet, .. } = place;
        let (by_http, asks_first) = (self.rng.random_bool(0.3), self.rng.random_bool(0.25));
        let car = self.car();
        if !asks_first {
            charger.plug(*outlet, car.clone()).await?;
        }
        let started = match by_http {
            true => phone.start_over_http(charger.id(), *outlet).await?,
            false => phone.start(charger.id(), *outlet).await?,
        };
        self.witness(&started);
        if asks_first {
            sleep(some(&self.pace.fumble, &mut self.rng)).await;
            charger.plug(*outlet, car).await?;
        }
        let session = self.wait(phone, &started, &["active"]).await?;
        if session["state"] != "active" {
            return Ok(());
        }
        self.while_it_charges(phone, place).await?;
        // Some just pull the plug.
        if self.rng.random_bool(0.15) {
            charger.unplug(*outlet).await?;
        } else {
            let session_id = started.session_id.as_deref().unwrap_or_default();
            let stopped = match by_http {
                true => phone.stop_over_http(session_id).await?,
                false => phone.stop(session_id).await?,
            };
            self.witness(&stopped);
        }
        self.wait(phone, &started, &["completed"]).await?;
        Ok(())
    }

    /// Looks away, drives through a tunnel, renews a token: what phones do meanwhile.
    async fn while_it_charges(&mut self, phone: &Phone, place: &Place) -> Result<(), Trouble> {
        let charge = some(&self.pace.charge, &mut self.rng);
        match self.rng.random_range(0..10) {
            0..3 => phone.line.lose(charge / 3).await?,
            3 => phone.account.refresh().await?,
            _ => {}
        }
        let full = async {
            while !place.charger.view().outlets[place.outlet - 1].charge.is_some_and(|charge| charge >= 1.0) {
                sleep(GLANCE).await;
            }
        };
        let evening = self.evening.clone();
        tokio::select! {
            () = sleep(charge) => {}
            () = full => {}
            () = evening.cancelled() => {}
        }
        Ok(())
    }

    async fn wait(&self, phone: &Phone, started: &Accepted, states: &[&str]) -> Result<Value, Trouble> {
        let waiting = timeout(self.pace.patience, phone.wait_for_session(started, states));
        Ok(waiting.await.map_err(|_| Trouble::Impatient)??)
    }

    fn witness(&self, accepted: &Accepted) {
        if let Some(witness) = &self.witness {
            witness.accepted(accepted);
        }
    }
}
