//! What a client may ask for on its socket. A message that can't be carried out is answered with a problem, and the socket
//! stays open, unless that goes on and on.

use application::auth::{Caller, Unauthenticated};
use domain::refusal::Refusal;
use schema::api::socket::{Auth, Authenticated, ClientAction, Subscribe, Unsubscribe};
use schema::log::{Generation, Position};
use serde_json::{Map, Value};
use service_host::{Code, Problem};

use super::close::Close;
use super::commands;
use super::connection::{Connection, Subscription, close_for};
use super::message;
use super::opening::{Opener, Opening, Since};
use super::say;
use crate::caller::operators_only;
use crate::failed::Failed;
use crate::hub::{Topic, TopicName, Viewer};

impl Connection {
    pub(super) async fn act(&mut self, text: &str) {
        let mut members: Map<String, Value> = match serde_json::from_str(text) {
            Ok(members) => members,
            Err(error) => {
                let problem = Problem::new(Code::InvalidRequest, format!("The message is not a JSON object: {error}."));
                return self.misunderstood(None, &problem);
            }
        };
        let id = members.remove("id");
        let action = match message::read(members) {
            Ok(action) => action,
            Err(problem) => return self.misunderstood(id.as_ref(), &problem),
        };
        let id = id.as_ref();
        let done = match action {
            ClientAction::Auth(Auth { token }) => self.authenticate(id, &token).await,
            ClientAction::Ping {} => {
                let upto = self.mailbox().inbox().sent_upto(self.shard().complete());
                self.say(say::pong(id, upto, self.api().now()));
                Ok(())
            }
            ClientAction::Subscribe(Subscribe { topic, since, generation }) => {
                let since = since.zip(generation).map(|(position, generation)| Since {
                    generation: Generation(generation),
                    position: Position(position),
                });
                if let Err(Failed(problem)) = self.subscribe(id, &topic, since).await {
                    let code = problem.code().as_str();
                    metrics::counter!("coulomb_realtime_subscriptions_refused_total", "code" => code).increment(1);
                    self.say(say::not_followed(id, &topic, &problem));
                }
                Ok(())
            }
            ClientAction::Unsubscribe(Unsubscribe { topic }) => self.unsubscribe(id, &topic),
            ClientAction::StartCharging { command_id, request } => {
                let accepted = match self.caller().cloned() {
                    Ok(caller) => commands::start(self.api(), caller, command_id.as_deref(), request).await,
                    Err(failed) => Err(failed),
                };
                accepted.map(|accepted| self.say(say::accepted(id, &accepted)))
            }
            ClientAction::StopCharging { command_id, request } => {
                let accepted = match self.caller().cloned() {
                    Ok(caller) => commands::stop(self.api(), caller, command_id.as_deref(), request).await,
                    Err(failed) => Err(failed),
                };
                accepted.map(|accepted| self.say(say::accepted(id, &accepted)))
            }
        };
        if let Err(Failed(problem)) = done {
            self.say(say::error(id, &problem));
        }
    }

    fn misunderstood(&mut self, id: Option<&Value>, problem: &Problem) {
        self.say(say::error(id, problem));
        self.misused();
    }

    async fn authenticate(&mut self, id: Option<&Value>, token: &str) -> Result<(), Failed> {
        let verified = self.api().verify(token).await;
        let former = self.caller().ok().map(|caller| (caller.tenant_id, caller.user_id, caller.role));
        match (verified, former) {
            (Ok(caller), Some(former)) if (caller.tenant_id, caller.user_id, caller.role) != former => {
                self.close(Close::OtherUser);
                Ok(())
            }
            (Ok(caller), _) => {
                self.authenticated(id, caller);
                Ok(())
            }
            // The former token still holds, until it ends.
            (Err(error), Some(_)) => {
                if !matches!(error, Unauthenticated::Unavailable(_)) {
                    self.misused();
                }
                Err(error.into())
            }
            (Err(error), None) => {
                let reason = close_for(&error);
                let Failed(problem) = error.into();
                self.say(say::error(id, &problem));
                self.close(reason);
                Ok(())
            }
        }
    }

    pub(super) fn authenticated(&mut self, id: Option<&Value>, caller: Caller) {
        let data = Authenticated {
            user_id: caller.user_id.to_string(),
            role: caller.role.as_str().to_owned(),
            driver_id: caller.driver_id().map(|id| id.to_string()),
            expires_at: caller.expires_at.into(),
            server_time: self.api().now().into(),
        };
        self.set_caller(caller);
        self.say(say::authenticated(id, self.api().hub.scene().generation, data));
    }

    async fn subscribe(&mut self, id: Option<&Value>, name: &str, since: Option<Since>) -> Result<(), Failed> {
        // Asked for again: it begins anew, or not at all.
        self.leave(|present| &*present.name == name);
        let topic = self.topic(name).await?;
        // Under another spelling of its id.
        self.leave(|present| present.topic == topic);
        let limit = self.api().limits.subscriptions_max;
        if self.subscriptions.len() >= limit {
            self.subscriptions_refused += 1;
            if self.subscriptions_refused > self.api().limits.subscriptions_refused_max {
                self.close(Close::TooManySubscriptions);
                return Ok(());
            }
            let detail = format!("A socket has at most {limit} subscriptions.");
            return Err(Problem::new(Code::RateLimited, detail).with("subscriptions_max", limit).into());
        }
        let subscription = Subscription { id: self.new_subscription(), topic, name: name.into() };
        metrics::gauge!("coulomb_realtime_subscriptions").increment(1);
        self.shard().subscribe(topic, self.mailbox(), subscription.id);
        let caller = self.caller()?.clone();
        let opener = Opener {
            api: self.api(),
            shard: self.shard(),
            mailbox: self.mailbox(),
            id: subscription.id,
            topic,
            caller: &caller,
        };
        match opener.open(since).await {
            Ok(opening) => {
                if let Some(viewer) = self.viewer() {
                    opening.encode(viewer).await;
                    self.say_opening(id, &subscription, opening, since, viewer);
                }
                self.subscriptions.push(subscription);
                self.look_for_mail();
                Ok(())
            }
            Err(failed) => {
                self.end_subscription(&subscription);
                Err(failed)
            }
        }
    }

    fn say_opening(
        &mut self,
        id: Option<&Value>,
        to: &Subscription,
        opening: Opening,
        since: Option<Since>,
        viewer: Viewer,
    ) {
        let Opening { resumed, generation, upto, resources } = opening;
        let name = (&*to.name, to.topic);
        let Some(since) = since.filter(|_| resumed) else {
            return self.say(say::snapshot(id, name, upto, generation, &resources, viewer));
        };
        self.say(say::resumed(id, &to.name, generation));
        for resource in &resources {
            // All of it has been sent with the last one only; `live` says so.
            let (before, body) = say::change(name, resource, since.position, viewer);
            self.say_change(&before, body);
        }
        self.say(say::live(&to.name, upto, generation));
    }

    fn unsubscribe(&mut self, id: Option<&Value>, name: &str) -> Result<(), Failed> {
        self.caller()?;
        self.leave(|present| &*present.name == name);
        self.say(say::unsubscribed(id, name));
        Ok(())
    }

    fn leave(&mut self, is_it: impl Fn(&Subscription) -> bool) {
        if let Some(present) = self.subscriptions.iter().position(is_it) {
            let present = self.subscriptions.swap_remove(present);
            self.end_subscription(&present);
        }
    }

    /// The topic of this name, if the caller may follow it.
    async fn topic(&mut self, name: &str) -> Result<Topic, Failed> {
        let caller = self.caller()?.clone();
        let Some(parsed) = TopicName::parse(name) else {
            self.misused();
            let topics = "charger:{id}, session:{id}, me; for operators also fleet and station:{id}";
            return Err(Problem::invalid_field("topic", format!("There is no such topic. Topics are {topics}.")).into());
        };
        if matches!(parsed, TopicName::Fleet | TopicName::Station(_)) && !caller.is_operator() {
            return Err(operators_only().into());
        }
        match parsed {
            TopicName::Me => Ok(Topic::Me(caller.user_id)),
            TopicName::Fleet => Ok(Topic::Fleet(caller.tenant_id)),
            TopicName::Session(id) => Ok(Topic::Session(id.parse().map_err(|_| Refusal::SessionUnknown)?)),
            TopicName::Charger(id) | TopicName::Station(id) => {
                let api = self.api();
                let find = || api.hub.names.find(caller.tenant_id, id);
                let mut charge_point_id = find();
                if charge_point_id.is_none() {
                    // It may just have been registered.
                    api.catch_up().await?;
                    charge_point_id = find();
                }
                let charge_point_id = charge_point_id.ok_or(Refusal::ChargerUnknown)?;
                Ok(match parsed {
                    TopicName::Station(_) => Topic::Station(charge_point_id),
                    _ => Topic::Charger(charge_point_id),
                })
            }
        }
    }
}
