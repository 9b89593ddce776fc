//! Refresh tokens: rotated, given again to who lost the answer, revoked when somebody else has them.

use reqwest::StatusCode;
use serde_json::json;

use crate::service::{Answer, PASSWORD, Service};

fn token(answer: Answer) -> String {
    answer.expect(StatusCode::OK).text("refresh_token")
}

#[tokio::test]
async fn each_token_is_good_for_one_exchange() {
    let service = Service::start().await;
    let mut newest = service.register("maria").await.refresh_token();
    for _ in 0..5 {
        service.clock.advance(900);
        let answer = service.refresh(&newest).await.expect(StatusCode::OK);
        let maria = crate::service::User { service: &service, tokens: answer.body };
        assert_ne!(maria.refresh_token(), newest);
        newest = maria.refresh_token();
        // The access token that came with it is good, the one before has expired.
        maria.post("/api/sessions/stop", json!({})).await.invalid("session_id");
    }
}

#[tokio::test]
async fn a_phone_that_lost_the_answer_gets_the_same_successor() {
    let service = Service::start().await;
    let first = service.register("maria").await.refresh_token();
    let second = token(service.refresh(&first).await);
    service.clock.advance(60);
    assert_eq!(token(service.refresh(&first).await), second);
    assert_eq!(token(service.refresh(&first).await), second);
    // Used: from now on the first is somebody else's.
    let third = token(service.refresh(&second).await);
    service.refresh(&first).await.refused(401, "unauthenticated");
    service.refresh(&third).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn late_reuse_revokes_the_family_of_that_device_alone() {
    let service = Service::start().await;
    let phone = service.register("maria").await.refresh_token();
    let tablet = service.login("maria@example.org").await.refresh_token();
    let newest = token(service.refresh(&phone).await);
    service.clock.advance(61);
    service.refresh(&phone).await.refused(401, "unauthenticated");
    service.refresh(&newest).await.refused(401, "unauthenticated");
    service.refresh(&tablet).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_token_of_long_ago_is_recognised_as_stolen() {
    let service = Service::start().await;
    let oldest = service.register("maria").await.refresh_token();
    let mut newest = oldest.clone();
    for _ in 0..10 {
        newest = token(service.refresh(&newest).await);
    }
    service.refresh(&oldest).await.refused(401, "unauthenticated");
    service.refresh(&newest).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn exchanges_at_the_same_moment_get_the_same_successor() {
    let service = Service::start().await;
    let first = service.register("maria").await.refresh_token();
    let answers = futures_util::future::join_all((0..8).map(|_| service.refresh(&first))).await;
    let successors: std::collections::BTreeSet<_> = answers.into_iter().map(token).collect();
    assert_eq!(successors.len(), 1);
    service.refresh(successors.first().unwrap()).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_stranger_learns_and_harms_nothing() {
    let service = Service::start().await;
    let token = service.register("maria").await.refresh_token();
    // The right family, the wrong secret.
    let guessed = format!("{}{}", &token[..token.len() - 4], "AAAA");
    for stranger in ["", "nonsense", "crt_AAAA", guessed.as_str()] {
        service.refresh(stranger).await.refused(401, "unauthenticated");
    }
    service.refresh(&token).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_device_that_was_away_for_too_long_logs_in_again() {
    let service = Service::start().await;
    let token = service.register("maria").await.refresh_token();
    service.clock.advance(60 * 24 * 3600);
    service.refresh(&token).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_login_ends_what_was_open_on_the_same_device() {
    let service = Service::start().await;
    let unnamed = service.register("maria").await.refresh_token();
    let login = async |device: &str| {
        let body = json!({"email": "maria@example.org", "password": PASSWORD, "device_id": device});
        token(service.post("/api/auth/login", body).await)
    };
    let before = login("phone").await;
    let tablet = login("tablet").await;
    let after = login("phone").await;
    service.refresh(&before).await.refused(401, "unauthenticated");
    for open in [unnamed, tablet, after] {
        service.refresh(&open).await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn the_devices_of_an_account_are_bounded() {
    let service = Service::start().await;
    let first = service.register("maria").await.refresh_token();
    for _ in 0..20 {
        service.clock.advance(1);
        service.login("maria@example.org").await;
    }
    service.refresh(&first).await.refused(401, "unauthenticated");
    let open: i64 =
        sqlx::query_scalar("SELECT count(*) FROM refresh_families JOIN accounts USING (user_id) WHERE role = 'driver'")
            .fetch_one(service.database.pool())
            .await
            .unwrap();
    assert_eq!(open, 20);
}
