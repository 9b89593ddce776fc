//! The helper that gives each test a database.

mod support;

use std::borrow::Cow;

use embedded_postgres::testing;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use support::{connect, number};

fn migrator() -> Migrator {
    let sql = Cow::Borrowed("CREATE TABLE things (id int PRIMARY KEY)");
    let migration = Migration::new(1, Cow::Borrowed("things"), MigrationType::Simple, sql, false);
    Migrator { migrations: Cow::Owned(vec![migration]), ..Migrator::DEFAULT }
}

#[tokio::test]
async fn every_test_has_a_migrated_database_of_its_own() {
    let migrator = migrator();
    let (one, two) = tokio::join!(testing::database(&migrator), testing::database(&migrator));
    sqlx::query("INSERT INTO things VALUES (1)").execute(one.pool()).await.unwrap();
    assert_eq!(number(one.url(), "SELECT count(*)::int FROM things").await, 1);
    assert_eq!(number(two.url(), "SELECT count(*)::int FROM things").await, 0);
}

#[tokio::test]
async fn the_database_is_gone_when_the_test_is() {
    let database = testing::database(&migrator()).await;
    let url = database.url().to_owned();
    let held = database.pool().acquire().await.unwrap();
    drop(database);
    let gone = connect(&url).await.expect_err("it was dropped");
    assert!(gone.to_string().contains("does not exist"), "{gone}");
    drop(held);
}
