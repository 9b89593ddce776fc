//! What can be set, from flags and variables.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use application::Application;
use clap::Args;
use pool::Pool;

use crate::accounts::{self, AttemptLimits};
use crate::clock::Clock;
use crate::http::RequestRates;
use crate::limit::{Network, Rate, TrustedProxies};

/// What the service runs with.
pub struct Config {
    pub application: Application,
    /// Of the database with the accounts.
    pub pool: Pool,
    pub settings: Settings,
    pub clock: Clock,
}

/// Everything has a default.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub accounts: accounts::Settings,
    pub rates: RequestRates,
    pub trusted_proxies: TrustedProxies,
    /// An operator who is there from the start.
    pub operator: Option<OperatorLogin>,
}

/// How the first operator logs in.
#[derive(Clone)]
pub struct OperatorLogin {
    pub email: String,
    pub password: String,
}

impl fmt::Debug for OperatorLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorLogin(…)")
    }
}

/// Flags and variables of command-service.
#[derive(Args, Clone)]
pub struct CommandArgs {
    /// E-mail address of an operator's account, which is made at start
    #[arg(long, env = "COULOMB_OPERATOR_EMAIL", value_name = "E-MAIL", requires = "operator_password")]
    pub operator_email: Option<String>,

    /// The operator's password, from this start on
    #[arg(
        long,
        env = "COULOMB_OPERATOR_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true,
        requires = "operator_email"
    )]
    pub operator_password: Option<String>,

    /// Addresses or networks of proxies whose X-Forwarded-For is believed; nobody's unless set
    #[arg(long, env = "COULOMB_TRUSTED_PROXIES", value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,

    /// Requests from one address: at once, and in a minute
    #[arg(long, env = "COULOMB_RATE_ADDRESS", value_name = "AT_ONCE,A_MINUTE", default_value = "2000,30000")]
    pub rate_address: Rate,

    /// Commands of one driver
    #[arg(long, env = "COULOMB_RATE_DRIVER", value_name = "AT_ONCE,A_MINUTE", default_value = "60,300")]
    pub rate_driver: Rate,

    /// Commands of one operator
    #[arg(long, env = "COULOMB_RATE_OPERATOR", value_name = "AT_ONCE,A_MINUTE", default_value = "2000,12000")]
    pub rate_operator: Rate,

    /// Failed logins into one account
    #[arg(long, env = "COULOMB_RATE_LOGIN_ACCOUNT", value_name = "AT_ONCE,A_MINUTE", default_value = "10,2")]
    pub rate_login_account: Rate,

    /// Failed logins and refreshes from one address
    #[arg(long, env = "COULOMB_RATE_LOGIN_ADDRESS", value_name = "AT_ONCE,A_MINUTE", default_value = "50,30")]
    pub rate_login_address: Rate,

    /// Registrations from one address
    #[arg(long, env = "COULOMB_RATE_REGISTER", value_name = "AT_ONCE,A_MINUTE", default_value = "30,6")]
    pub rate_register: Rate,
}

/// Without the password.
impl fmt::Debug for CommandArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandArgs").field("operator_email", &self.operator_email).finish_non_exhaustive()
    }
}

impl From<CommandArgs> for Settings {
    fn from(args: CommandArgs) -> Self {
        let operator = args.operator_email.zip(args.operator_password);
        Self {
            accounts: accounts::Settings {
                attempts: AttemptLimits {
                    by_account: args.rate_login_account,
                    by_address: args.rate_login_address,
                    registrations: args.rate_register,
                },
                ..accounts::Settings::default()
            },
            rates: RequestRates {
                by_address: args.rate_address,
                by_driver: args.rate_driver,
                by_operator: args.rate_operator,
            },
            trusted_proxies: TrustedProxies::new(args.trusted_proxies),
            operator: operator.map(|(email, password)| OperatorLogin { email, password }),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not two whole numbers above 0, such as 60,300: how many at once, and how many a minute")]
pub struct NotARate(String);

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let parse = || {
            let (burst, per_minute) = text.split_once(',')?;
            let number = |text: &str| text.trim().parse::<u32>().ok().filter(|number| *number > 0);
            Some(Self { burst: number(burst)?, refill: Duration::from_secs(60) / number(per_minute)? })
        };
        parse().ok_or_else(|| NotARate(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: CommandArgs,
    }

    fn parse(args: &[&str]) -> Result<Settings, clap::Error> {
        Cli::try_parse_from([&["test"], args].concat()).map(|cli| cli.args.into())
    }

    #[test]
    fn flags_default_to_the_defaults() {
        let settings = parse(&[]).unwrap();
        let defaults = Settings::default();
        assert_eq!(settings.rates, defaults.rates);
        assert_eq!(settings.accounts.attempts, defaults.accounts.attempts);
        assert!(settings.operator.is_none());
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for wrong in [
            &["--rate-driver", "60"][..],
            &["--rate-driver", "0,1"],
            &["--rate-driver", "1,0"],
            &["--trusted-proxies", "10.0.0.0/8,everywhere"],
            &["--operator-email", "operator@example.org"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        let rate = Rate { burst: 5, refill: Duration::from_secs(20) };
        assert_eq!(parse(&["--rate-driver", "5, 3"]).unwrap().rates.by_driver, rate);
    }
}
