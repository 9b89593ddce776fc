//! A phone that lost the answer to its refresh.

use serde_json::{Value, json};
use tests::{shared, text};

async fn post(http: &str, path: &str, body: &Value) -> (u16, Value) {
    let answer = reqwest::Client::new().post(format!("{http}{path}")).json(body).send().await.expect("it answers");
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("it answers JSON"))
}

#[tokio::test]
async fn a_phone_that_lost_the_answer_gets_it_again_and_a_thief_ends_the_family() {
    let network = shared().await;
    let person = network.person();
    let body = json!({"email": person.email, "password": person.password, "name": person.name});
    let (status, tokens) = post(&network.http, "/api/auth/register", &body).await;
    assert_eq!(status, 200, "{tokens}");
    let refresh = async |token: &str| post(&network.http, "/api/auth/refresh", &json!({"refresh_token": token})).await;

    let first = text(&tokens["refresh_token"]);
    let (_, lost) = refresh(&first).await;
    let (status, again) = refresh(&first).await;
    assert_eq!((status, &again["refresh_token"]), (200, &lost["refresh_token"]), "the same successor");
    let second = text(&again["refresh_token"]);
    let (status, third) = refresh(&second).await;
    assert_eq!(status, 200);
    // Its successor was used: whoever has the first one is not who it was given to.
    let (status, problem) = refresh(&first).await;
    assert_eq!((status, &problem["type"]), (401, &json!("/problems/unauthenticated")));
    let (status, _) = refresh(&text(&third["refresh_token"])).await;
    assert_eq!(status, 401, "the whole family has ended");
    let login = json!({"email": person.email, "password": person.password});
    assert_eq!(post(&network.http, "/api/auth/login", &login).await.0, 200, "the person can log in");
}
