use application::Application;
use axum::Router;
use axum::routing::get;
use pool::Pool;
use service_host::{Host, Json, NotReady, ServeLimits, Shutdown, serve};
use tokio::net::TcpListener;

use crate::accounts::{self, Accounts, Email, HashingError, Name, NewAccount, Password};
use crate::clock::Clock;
use crate::config::{Config, OperatorLogin, Settings};
use crate::http::{self, Api};
use crate::process;

/// Why the service can't run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("passwords can't be hashed as configured")]
    Hashing(#[from] HashingError),
    #[error("the operator's account can't be made (COULOMB_OPERATOR_EMAIL, COULOMB_OPERATOR_PASSWORD)")]
    Operator(#[source] accounts::Error),
}

/// What a process that runs command-service among others puts together: the handlers' state, and the operator's account.
/// It runs [`process::run`] beside them.
///
/// # Errors
/// [`Error`].
pub async fn start(
    application: Application,
    pool: impl Into<Pool>,
    settings: Settings,
    clock: Clock,
) -> Result<Api, Error> {
    let pool = pool.into();
    let accounts = Accounts::new(application.clone(), pool, settings.accounts)?;
    if let Some(login) = settings.operator {
        let account = operator(&login).map_err(Error::Operator)?;
        accounts.ensure_operator(&account, clock.now()).await.map_err(Error::Operator)?;
    }
    Ok(Api::new(application, accounts, settings.rates, settings.trusted_proxies, clock))
}

/// The service alone on a port, with its process managers, until `shutdown` begins and requests under way have ended.
///
/// # Errors
/// [`Error`], before anything is served.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
    let Config { application, pool, settings, clock } = config;
    let host = Host::new();
    host.readiness().register("accounts", {
        let pool = pool.clone();
        move || reachable(pool.clone())
    });
    let processes = process::run(
        application.clone(),
        pool.clone(),
        process::Options::default(),
        host.readiness(),
        shutdown.clone(),
    );
    let api = start(application, pool, settings, clock).await?;
    let document = http::openapi();
    let router: Router = http::router(api).route("/openapi.json", get(async move || Json(document)));
    let served = serve(host.finish(router), listener, shutdown, ServeLimits::default());
    tokio::join!(processes, served);
    Ok(())
}

async fn reachable(pool: Pool) -> Result<(), NotReady> {
    let asked = sqlx::query("SELECT FROM accounts LIMIT 0").execute(&pool).await;
    asked.map(|_| ()).map_err(|error| {
        tracing::warn!(%error, "the accounts can't be reached");
        NotReady("the accounts can't be reached".to_owned())
    })
}

fn operator(login: &OperatorLogin) -> Result<NewAccount, accounts::Error> {
    Ok(NewAccount {
        email: Email::parse(&login.email)?,
        password: Password::choose(&login.password)?,
        name: Name::parse("Operator")?,
        phone: None,
    })
}
