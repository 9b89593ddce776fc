use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::error::{Error, Problem};

const REQUEST_WAIT_MAX: Duration = Duration::from_secs(30);
/// A token that ends within this is renewed first.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// Who makes an account.
#[derive(Debug, Clone)]
pub struct Person {
    pub email: String,
    pub password: String,
    pub name: String,
    pub phone: Option<String>,
}

/// A logged-in account: requests in its name, with a token that is renewed in time. Cheap to clone.
#[derive(Clone)]
pub struct Account(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    /// Without a trailing slash.
    http: String,
    email: String,
    password: String,
    device_id: Option<String>,
    /// Held while it is renewed, so that a refresh token is used once.
    tokens: Mutex<Tokens>,
}

#[derive(Clone)]
struct Tokens {
    access: String,
    refresh: String,
    renew_at: Instant,
}

#[derive(Deserialize)]
struct TokensAnswer {
    access_token: String,
    refresh_token: String,
    expires_in: u64,
}

impl From<TokensAnswer> for Tokens {
    fn from(answer: TokensAnswer) -> Self {
        let life = Duration::from_secs(answer.expires_in);
        // A life that is shorter than the margin is used by half.
        let renew_in = life.checked_sub(RENEW_BEFORE).unwrap_or(life / 2);
        Self { access: answer.access_token, refresh: answer.refresh_token, renew_at: Instant::now() + renew_in }
    }
}

impl Account {
    /// Makes an account as a driver.
    pub async fn register(client: reqwest::Client, http: &str, person: Person) -> Result<Self, Error> {
        let Person { email, password, name, phone } = person;
        let body = json!({"email": email, "password": password, "name": name, "phone": phone});
        let tokens = ask_tokens(&client, http, "register", &body).await?;
        Ok(Self::new(client, http, email, password, None, tokens))
    }

    pub async fn login(
        client: reqwest::Client,
        http: &str,
        email: &str,
        password: &str,
        device_id: Option<&str>,
    ) -> Result<Self, Error> {
        let body = json!({"email": email, "password": password, "device_id": device_id});
        let tokens = ask_tokens(&client, http, "login", &body).await?;
        let device_id = device_id.map(str::to_owned);
        Ok(Self::new(client, http, email.to_owned(), password.to_owned(), device_id, tokens))
    }

    /// Logs in, or registers where there is no such account.
    pub async fn login_or_register(client: reqwest::Client, http: &str, person: Person) -> Result<Self, Error> {
        match Self::login(client.clone(), http, &person.email, &person.password, None).await {
            Err(error) if error.code() == Some("unauthenticated") => Self::register(client, http, person).await,
            other => other,
        }
    }

    fn new(
        client: reqwest::Client,
        http: &str,
        email: String,
        password: String,
        device_id: Option<String>,
        tokens: Tokens,
    ) -> Self {
        let http = http.trim_end_matches('/').to_owned();
        Self(Arc::new(Inner { client, http, email, password, device_id, tokens: Mutex::new(tokens) }))
    }

    /// Of a server that gave this token without having been asked.
    #[cfg(test)]
    pub(super) fn with_token(http: &str, access: &str) -> Self {
        let renew_at = Instant::now() + Duration::from_secs(3_600);
        let tokens = Tokens { access: access.to_owned(), refresh: String::new(), renew_at };
        Self::new(reqwest::Client::new(), http, String::new(), String::new(), None, tokens)
    }

    pub fn email(&self) -> &str {
        &self.0.email
    }

    /// A token that is good for a while.
    pub async fn access_token(&self) -> Result<String, Error> {
        let mut tokens = self.0.tokens.lock().await;
        if tokens.renew_at <= Instant::now() {
            self.renew(&mut tokens).await?;
        }
        Ok(tokens.access.clone())
    }

    /// When [`access_token`](Self::access_token) will give another one.
    pub async fn renew_at(&self) -> Instant {
        self.0.tokens.lock().await.renew_at
    }

    /// Gets new tokens now.
    pub async fn refresh(&self) -> Result<(), Error> {
        let mut tokens = self.0.tokens.lock().await;
        self.renew(&mut tokens).await
    }

    /// The same refresh token again is safe: who lost the answer gets the same successor.
    async fn renew(&self, tokens: &mut Tokens) -> Result<(), Error> {
        let Inner { client, http, email, password, device_id, .. } = &*self.0;
        let body = json!({"refresh_token": tokens.refresh});
        let renewed = match ask_tokens(client, http, "refresh", &body).await {
            Err(error) if error.code() == Some("unauthenticated") => {
                let body = json!({"email": email, "password": password, "device_id": device_id});
                ask_tokens(client, http, "login", &body).await?
            }
            other => other?,
        };
        *tokens = renewed;
        Ok(())
    }

    /// `path` begins with a slash.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        let request = self.request(Method::GET, path).await?;
        answered(request.send().await?).await
    }

    /// A command. With a key it may be repeated, and is carried out once.
    pub async fn post(&self, path: &str, body: &Value, idempotency_key: Option<&str>) -> Result<Value, Error> {
        let mut request = self.request(Method::POST, path).await?.json(body);
        if let Some(key) = idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        answered(request.send().await?).await
    }

    async fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Error> {
        let token = self.access_token().await?;
        let url = format!("{}{path}", self.0.http);
        Ok(self.0.client.request(method, url).bearer_auth(token).timeout(REQUEST_WAIT_MAX))
    }
}

async fn ask_tokens(client: &reqwest::Client, http: &str, what: &str, body: &Value) -> Result<Tokens, Error> {
    let url = format!("{}/api/auth/{what}", http.trim_end_matches('/'));
    let answer = client.post(url).json(body).timeout(REQUEST_WAIT_MAX).send().await?;
    let answer: TokensAnswer =
        serde_json::from_value(answered(answer).await?).map_err(|error| Error::Unexpected(error.to_string()))?;
    Ok(answer.into())
}

async fn answered(answer: reqwest::Response) -> Result<Value, Error> {
    let status = answer.status();
    let text = answer.text().await?;
    if status.is_success() {
        if text.is_empty() {
            return Ok(Value::Null);
        }
        return serde_json::from_str(&text).map_err(|error| Error::Unexpected(error.to_string()));
    }
    match serde_json::from_str::<Problem>(&text) {
        Ok(problem) => Err(Error::Refused(problem)),
        // A proxy's page, or nothing.
        Err(_) => Err(Error::Refused(Problem {
            kind: String::new(),
            title: text,
            status: status.as_u16(),
            detail: String::new(),
            retry_after_s: None,
        })),
    }
}
