//! The WebSocket of a phone: opened, lost, and opened again where it left off.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::{self, Message};

use super::account::Account;
use super::again::{self, Again};
use super::error::{Error, Problem};
use super::held::{Heard, Held, Topic};
use super::put_off::PutOff;
use crate::Backoff;
use crate::websocket::{self, Socket};

/// Between two attempts to renew the token on an open line.
const RENEW_RETRY: Duration = Duration::from_millis(250);
/// What its owner asked for and was not sent yet.
const REQUESTS_MAX: usize = 64;
/// What was sent and not answered yet.
const UNANSWERED_MAX: usize = 64;
/// A server that has kept us for so long is none that lets us in and closes.
const SETTLED: Duration = Duration::from_secs(5);
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A server that says nothing for so long, not even to a ping, is not there.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const WRITE_WAIT_MAX: Duration = Duration::from_secs(10);

/// How the token is given to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenBy {
    #[default]
    Header,
    /// `coulomb, bearer.<jwt>`: all that a browser can do.
    Subprotocol,
    /// The first message.
    Message,
}

pub struct LineConfig {
    /// Of the WebSocket, whole.
    pub ws: String,
    pub account: Account,
    pub topics: Vec<String>,
    pub token_by: TokenBy,
    /// Told of what happens, by who wants to see it. A slow reader slows the line down: the server then sends less.
    pub events: Option<mpsc::Sender<LineEvent>>,
    pub seed: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum LineEvent {
    Connected,
    /// Any message, as it came, and what it was to what is held.
    Message {
        message: Value,
        heard: Heard,
    },
    /// Nothing comes of a topic: until it is asked for again, or ever. After the message that says so.
    NotFollowed {
        topic: String,
        why: Problem,
        again_in: Option<Duration>,
    },
    Lost {
        why: String,
        again_in: Duration,
    },
}

enum Request {
    Subscribe(String),
    Unsubscribe(String),
    Ask {
        message: Value,
        answer: oneshot::Sender<Result<Value, Error>>,
    },
    /// Loses the connection for so long.
    Lose(Duration),
}

/// A handle of an open line. The line is closed when the last handle is dropped.
#[derive(Clone)]
pub struct Line {
    requests: mpsc::Sender<Request>,
    held: watch::Receiver<Held>,
}

impl Line {
    pub fn spawn(config: LineConfig) -> Self {
        let (requests, received) = mpsc::channel(REQUESTS_MAX);
        let topics = config.topics.iter().map(|topic| (topic.clone(), Topic::default())).collect();
        let (held, watched) = watch::channel(Held { topics });
        let rng = SmallRng::seed_from_u64(config.seed);
        let open = Open {
            config,
            requests: received,
            held,
            unanswered: HashMap::new(),
            put_off: PutOff::default(),
            asked: 0,
            rng,
        };
        tokio::spawn(open.run());
        Self { requests, held: watched }
    }

    /// What is held now.
    pub fn held(&self) -> Held {
        self.held.borrow().clone()
    }

    /// Waits until what is held is as wanted.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn wait_for(&self, mut wanted: impl FnMut(&Held) -> bool) -> Result<Held, Error> {
        let mut held = self.held.clone();
        let seen = held.wait_for(|held| wanted(held)).await.map_err(|_| Error::Closed)?;
        Ok(seen.clone())
    }

    pub async fn subscribe(&self, topic: impl Into<String>) -> Result<(), Error> {
        self.requests.send(Request::Subscribe(topic.into())).await.map_err(|_| Error::Closed)
    }

    /// What is held of the topic goes with it.
    pub async fn unsubscribe(&self, topic: impl Into<String>) -> Result<(), Error> {
        self.requests.send(Request::Unsubscribe(topic.into())).await.map_err(|_| Error::Closed)
    }

    /// Says something and waits for the direct answer, whose `data` it gives.
    ///
    /// # Errors
    /// [`Error::Refused`]; [`Error::Lost`] when it may or may not have arrived.
    pub async fn ask(&self, message: Value) -> Result<Value, Error> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Ask { message, answer }).await.map_err(|_| Error::Closed)?;
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// Loses the connection, as in a tunnel.
    pub async fn lose(&self, duration: Duration) -> Result<(), Error> {
        self.requests.send(Request::Lose(duration)).await.map_err(|_| Error::Closed)
    }
}

struct Open {
    config: LineConfig,
    requests: mpsc::Receiver<Request>,
    held: watch::Sender<Held>,
    unanswered: HashMap<String, oneshot::Sender<Result<Value, Error>>>,
    put_off: PutOff,
    asked: u64,
    rng: SmallRng,
}

/// How a connection ended.
enum Ended {
    /// Nobody wants it any more.
    Closed,
    Lost {
        why: String,
        again: Again,
    },
}

impl Ended {
    fn lost(why: impl Into<String>) -> Self {
        Self::Lost { why: why.into(), again: Again::Later }
    }
}

impl From<tungstenite::Error> for Ended {
    fn from(error: tungstenite::Error) -> Self {
        Self::lost(error.to_string())
    }
}

impl Open {
    async fn run(mut self) {
        let mut backoff = again::backoff();
        loop {
            let ended = match self.open().await {
                Ok(mut socket) => {
                    let ended = self.converse(&mut socket, &mut backoff).await;
                    // The other side learns it at once; whether it still can does not matter.
                    let _ = tokio::time::timeout(WRITE_WAIT_MAX, socket.close(None)).await;
                    ended
                }
                Err(error) => Ended::lost(error.to_string()),
            };
            for (_, answer) in self.unanswered.drain() {
                let _ = answer.send(Err(Error::Lost));
            }
            let Ended::Lost { why, again } = ended else { return };
            let again_in = again.wait(&mut backoff, &mut self.rng);
            self.tell(LineEvent::Lost { why, again_in }).await;
            if self.stay_away(again_in).await.is_err() {
                return;
            }
        }
    }

    async fn tell(&self, event: LineEvent) {
        if let Some(events) = &self.config.events {
            let _ = events.send(event).await;
        }
    }

    /// What is asked meanwhile waits its turn, except that topics change.
    async fn stay_away(&mut self, duration: Duration) -> Result<(), Error> {
        let until = Instant::now() + duration;
        loop {
            tokio::select! {
                () = sleep_until(until) => return Ok(()),
                request = self.requests.recv() => match request {
                    None => return Err(Error::Closed),
                    Some(Request::Subscribe(topic)) => self.follow(&topic),
                    Some(Request::Unsubscribe(topic)) => self.forget(&topic),
                    Some(Request::Ask { answer, .. }) => {
                        let _ = answer.send(Err(Error::Lost));
                    }
                    Some(Request::Lose(_)) => {}
                },
            }
        }
    }

    async fn open(&self) -> Result<Socket, Error> {
        let token = self.config.account.access_token().await?;
        let header = |text: String| HeaderValue::from_str(&text).map_err(|_| Error::Unexpected("a token".to_owned()));
        let headers = match self.config.token_by {
            TokenBy::Header => vec![(AUTHORIZATION, header(format!("Bearer {token}"))?)],
            TokenBy::Subprotocol => vec![(SEC_WEBSOCKET_PROTOCOL, header(format!("coulomb, bearer.{token}"))?)],
            TokenBy::Message => vec![],
        };
        let mut socket = websocket::open(&self.config.ws, &headers).await?;
        if self.config.token_by == TokenBy::Message {
            let auth = json!({"action": "auth", "token": token});
            write(&mut socket, &auth).await.map_err(|_| Error::Lost)?;
        }
        Ok(socket)
    }

    async fn converse(&mut self, socket: &mut Socket, backoff: &mut Backoff) -> Ended {
        match self.exchange(socket, backoff).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn exchange(
        &mut self,
        socket: &mut Socket,
        backoff: &mut Backoff,
    ) -> Result<std::convert::Infallible, Ended> {
        self.tell(LineEvent::Connected).await;
        // Every one is asked for now.
        self.put_off = PutOff::default();
        let topics: Vec<String> = self.held.borrow().topics.keys().cloned().collect();
        for topic in topics {
            let subscribe = self.subscription(&topic);
            write(socket, &subscribe).await?;
        }
        let since = Instant::now();
        let mut heard = since;
        let mut ping_at = heard + PING_INTERVAL;
        let mut renew_at = self.config.account.renew_at().await;
        loop {
            tokio::select! {
                frame = socket.next() => {
                    heard = Instant::now();
                    // It has let us in, speaks, and does not mean to close at once.
                    if matches!(frame, Some(Ok(_))) && since.elapsed() > SETTLED {
                        backoff.reset();
                    }
                    match frame {
                        Some(Ok(Message::Text(text))) => self.hear(&text).await,
                        Some(Ok(Message::Close(Some(close)))) => {
                            if u16::from(close.code) == 4001 || u16::from(close.code) == 4002 {
                                // Whatever the server has against the token, another one is needed.
                                let _ = self.config.account.refresh().await;
                            }
                            let why = format!("closed with {}: {}", close.code, close.reason);
                            let again = Again::after_close(close.code.into(), &close.reason);
                            return Err(Ended::Lost { why, again });
                        }
                        Some(Ok(Message::Close(None))) | None => return Err(Ended::lost("closed")),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Err(error.into()),
                    }
                }
                request = self.requests.recv(), if self.unanswered.len() < UNANSWERED_MAX => {
                    self.send(socket, request).await?;
                }
                topic = self.put_off.next() => {
                    self.put_off.asked(&topic);
                    write(socket, &self.subscription(&topic)).await?;
                }
                () = sleep_until(ping_at) => {
                    ping_at = Instant::now() + PING_INTERVAL;
                    if heard.elapsed() > SILENCE_MAX {
                        return Err(Ended::lost("the server says nothing"));
                    }
                    write(socket, &json!({"action": "ping"})).await?;
                }
                () = sleep_until(renew_at) => {
                    match self.config.account.access_token().await {
                        Ok(token) => write(socket, &json!({"action": "auth", "token": token})).await?,
                        Err(_) => sleep(RENEW_RETRY).await,
                    }
                    renew_at = self.config.account.renew_at().await.max(Instant::now() + RENEW_RETRY);
                }
            }
        }
    }

    async fn hear(&mut self, text: &str) {
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            tracing::warn!("a message that is no JSON");
            return;
        };
        let mut heard = Heard::Other;
        self.held.send_if_modified(|held| {
            heard = held.hear(&message);
            heard == Heard::News
        });
        let answer = message["id"].as_str().and_then(|id| self.unanswered.remove(id));
        if let Some(answer) = answer {
            let data = message["data"].clone();
            let _ = answer.send(match message["type"].as_str() {
                Some("error") => match serde_json::from_value::<Problem>(data) {
                    Ok(problem) => Err(Error::Refused(problem)),
                    Err(error) => Err(Error::Unexpected(error.to_string())),
                },
                _ => Ok(data),
            });
        }
        let not_followed = self.whether_followed(&message);
        self.tell(LineEvent::Message { message, heard }).await;
        if let Some(event) = not_followed {
            self.tell(event).await;
        }
    }

    /// What a message says of that: an `error` that names a topic is the answer to its `subscribe`.
    fn whether_followed(&mut self, message: &Value) -> Option<LineEvent> {
        let topic = message["topic"].as_str()?;
        match message["type"].as_str()? {
            "snapshot" | "resumed" => self.put_off.forget(topic),
            "error" if self.held.borrow().topic(topic).is_some() => {
                let why: Problem = serde_json::from_value(message["data"].clone()).ok()?;
                let again_in = self.put_off.put_off(topic, &why, &mut self.rng);
                if again_in.is_none() {
                    // It is not kept up to date any more.
                    self.held.send_modify(|held| {
                        held.topics.insert(topic.to_owned(), Topic::default());
                    });
                }
                return Some(LineEvent::NotFollowed { topic: topic.to_owned(), why, again_in });
            }
            _ => {}
        }
        None
    }

    async fn send(&mut self, socket: &mut Socket, request: Option<Request>) -> Result<(), Ended> {
        match request {
            None => return Err(Ended::Closed),
            Some(Request::Subscribe(topic)) => {
                self.follow(&topic);
                self.put_off.asked(&topic);
                write(socket, &self.subscription(&topic)).await?;
            }
            Some(Request::Unsubscribe(topic)) => {
                self.forget(&topic);
                write(socket, &json!({"action": "unsubscribe", "topic": topic})).await?;
            }
            Some(Request::Ask { mut message, answer }) => {
                self.asked += 1;
                let id = format!("q{}", self.asked);
                message["id"] = id.clone().into();
                self.unanswered.insert(id, answer);
                write(socket, &message).await?;
            }
            Some(Request::Lose(duration)) => {
                return Err(Ended::Lost { why: "lost on purpose".to_owned(), again: Again::After(duration) });
            }
        }
        Ok(())
    }

    fn follow(&self, topic: &str) {
        self.held.send_modify(|held| {
            held.topics.entry(topic.to_owned()).or_default();
        });
    }

    fn forget(&mut self, topic: &str) {
        self.put_off.forget(topic);
        self.held.send_modify(|held| {
            held.topics.remove(topic);
        });
    }

    /// From where the last connection left off.
    fn subscription(&self, topic: &str) -> Value {
        let held = self.held.borrow();
        let mut subscribe = json!({"action": "subscribe", "topic": topic});
        if let Some((upto, generation)) = held.topic(topic).and_then(|topic| topic.upto.zip(topic.generation)) {
            subscribe["since"] = upto.into();
            subscribe["generation"] = generation.into();
        }
        subscribe
    }
}

async fn write(socket: &mut Socket, message: &Value) -> Result<(), tungstenite::Error> {
    let written = tokio::time::timeout(WRITE_WAIT_MAX, socket.send(Message::text(message.to_string()))).await;
    written.unwrap_or(Err(tungstenite::Error::ConnectionClosed))
}

#[cfg(test)]
mod tests;
