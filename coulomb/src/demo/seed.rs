//! Makes the demo's network, through the public API: what it does, an operator could do with curl.

use anyhow::Context;
use serde_json::{Value, json};
use simulator::phone::{Account, Error, Person};

use super::network;
use super::state::State;

/// Makes what is not there. Cut off and begun again, it goes on where it was: each command has a key of its own.
pub async fn seed(http: &str, state: &mut State) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let login = &state.operator;
    let operator = Account::login(client.clone(), http, &login.email, &login.password, None).await;
    let operator = Operator { account: operator.context("the operator's login")? };
    let me = operator.account.get("/api/me").await?;
    let me = text(&me, "user_id")?;
    if state.seeded_for.as_ref() == Some(&me) {
        return Ok(());
    }
    say!("Making the demo's sites, tariffs, chargers and drivers ...");
    let (harbour, plan) = operator.make_sites(state).await?;
    let own = &state.charger;
    let registration = network::own_charger().registration(&own.id, &own.password, &harbour);
    operator.make_charger(&registration).await?;

    let driver = Person {
        email: state.driver.email.clone(),
        password: state.driver.password.clone(),
        name: "Demo Driver".to_owned(),
        phone: None,
    };
    let people = network::residents(state).into_iter().map(|resident| (resident.person, resident.card));
    for (person, card) in people.chain([(driver, Some(own.id_tag.clone()))]) {
        let account = Account::login_or_register(client.clone(), http, person).await?;
        operator.make_customer(&account, &plan, card.as_deref()).await?;
    }
    state.seeded_for = Some(me);
    state.save()
}

struct Operator {
    account: Account,
}

impl Operator {
    async fn command(&self, path: &str, key: &str, body: &Value) -> Result<Value, Error> {
        self.account.post(path, body, Some(&format!("demo-{key}"))).await
    }

    /// Sites with tariffs and chargers; the first site's id, and the plan's.
    async fn make_sites(&self, state: &State) -> anyhow::Result<(String, String)> {
        let mut first = None;
        let mut number = 0;
        for (index, mut site) in network::sites().into_iter().enumerate() {
            let tariff = self.command("/api/tariffs", &format!("tariff-{index}"), &site.tariff).await?;
            site.body["tariff_id"] = tariff["tariff_id"].clone();
            let made = self.command("/api/sites", &format!("site-{index}"), &site.body).await?;
            let site_id = text(&made, "site_id")?;
            for model in site.models {
                let id = network::charger_id(number);
                self.make_charger(&model.registration(&id, &state.charger_password, &site_id)).await?;
                number += 1;
            }
            first.get_or_insert(site_id);
        }
        let plan = self.command("/api/plans", "plan", &json!({"name": "Regular"})).await?;
        Ok((first.context("there is no site")?, text(&plan, "plan_id")?))
    }

    async fn make_charger(&self, registration: &Value) -> anyhow::Result<()> {
        let id = text(registration, "charger_id")?;
        self.command("/api/chargers", &format!("charger-{id}"), registration).await?;
        Ok(())
    }

    /// A driver with a plan, and a card perhaps.
    async fn make_customer(&self, driver: &Account, plan_id: &str, card: Option<&str>) -> anyhow::Result<()> {
        let me = driver.get("/api/me").await?;
        let id = text(&me, "driver_id")?;
        self.command(&format!("/api/drivers/{id}/plan"), &format!("plan-{id}"), &json!({"plan_id": plan_id})).await?;
        if let Some(card) = card {
            let body = json!({"type": "ISO14443", "value": card});
            self.command(&format!("/api/drivers/{id}/tokens"), &format!("card-{id}"), &body).await?;
        }
        Ok(())
    }
}

fn text(answer: &Value, name: &str) -> anyhow::Result<String> {
    answer[name].as_str().map(str::to_owned).with_context(|| format!("an answer without {name}: {answer}"))
}
