//! A private server through the ways in which it and its owner end.

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use embedded_postgres::{EmbeddedPostgres, Error};
use owned_process::lives;
use support::{Home, Owner, execute, kill, number, until};

#[tokio::test]
async fn a_second_start_finds_the_data_and_the_port_of_the_first() {
    let home = Home::new();
    let server = EmbeddedPostgres::start(home.options()).await.expect("the first start");
    let (port, pid) = (server.port(), server.pid().expect("it runs"));
    execute(&server.url(), "CREATE TABLE kept AS SELECT 42 AS answer").await;
    server.stop().await.expect("it stops");
    assert!(!lives(pid));

    let server = EmbeddedPostgres::start(home.options()).await.expect("the second start");
    assert_eq!(server.port(), port);
    assert_eq!(number(&server.url(), "SELECT answer FROM kept").await, 42);
    server.stop().await.expect("it stops");
}

#[tokio::test]
async fn the_password_is_ours_alone_and_needed() {
    let home = Home::new();
    let server = EmbeddedPostgres::start(home.options()).await.expect("it starts");
    let password = std::fs::metadata(home.path().join("password")).expect("it is kept");
    assert_eq!(password.permissions().mode() & 0o777, 0o600);
    let secret = std::fs::read_to_string(home.path().join("password")).expect("it can be read");
    let without = server.url().replace(secret.trim(), "wrong");
    let refused = support::connect(&without).await.expect_err("a wrong password is refused");
    assert!(refused.to_string().contains("password authentication failed"), "{refused}");
    server.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_second_owner_is_refused_and_told_who_the_first_is() {
    let home = Home::new();
    let server = EmbeddedPostgres::start(home.options()).await.expect("it starts");
    let refused = EmbeddedPostgres::start(home.options()).await.expect_err("the directory is in use");
    let us = std::process::id() as i32;
    let in_use = |error: &Error| matches!(error, Error::Process(owned_process::Error::InUse { pid: Some(pid), .. }) if *pid == us);
    assert!(in_use(&refused), "{refused}");
    assert!(refused.to_string().contains("is in use by process"), "{refused}");
    assert_eq!(number(&server.url(), "SELECT 1").await, 1, "the first one is not disturbed");
    server.stop().await.expect("it stops");
}

#[tokio::test]
async fn the_guardian_stops_the_server_of_a_killed_owner() {
    let home = Home::new();
    let owner = Owner::spawn(&home);
    let server = owner.server;
    owner.kill();
    until("the server is stopped", || !lives(server)).await;
    let server = EmbeddedPostgres::start(home.options()).await.expect("the next start");
    server.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_server_left_by_a_killed_owner_and_guardian_is_replaced() {
    let home = Home::new();
    let owner = Owner::spawn(&home);
    let left = owner.server;
    execute(&owner.url, "CREATE TABLE kept AS SELECT 7 AS answer").await;
    kill(owner.guardian, "KILL");
    until("the guardian is gone", || !lives(owner.guardian)).await;
    owner.kill();
    assert!(lives(left), "nobody is there to stop it");

    let server = EmbeddedPostgres::start(home.options()).await.expect("the next start");
    assert!(!lives(left));
    assert_eq!(number(&server.url(), "SELECT answer FROM kept").await, 7);
    server.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_killed_server_is_noticed_and_recovers_at_the_next_start() {
    let home = Home::new();
    let mut server = EmbeddedPostgres::start(home.options()).await.expect("it starts");
    execute(&server.url(), "CREATE TABLE kept AS SELECT 7 AS answer").await;
    kill(server.pid().expect("it runs"), "KILL");
    server.ended().await.expect("its end is seen");
    // We are the owner of the next one as well.
    let guardian = server.guardian_pid();
    drop(server);
    until("the guardian to end", || !lives(guardian)).await;

    let server = EmbeddedPostgres::start(home.options()).await.expect("the next start");
    assert_eq!(number(&server.url(), "SELECT answer FROM kept").await, 7);
    server.stop().await.expect("it stops");
}

#[tokio::test]
async fn locks_whose_pid_went_to_another_process_are_removed() {
    let home = Home::new();
    EmbeddedPostgres::start(home.options()).await.expect("it starts").stop().await.expect("it stops");
    let data = home.path().join("data");
    let owner = std::fs::metadata(&data).expect("it is there");
    // A living process of the server's own account: Postgres itself would refuse to start beside it.
    let mut command = Command::new("sleep");
    command.arg("600");
    if owner.uid() != support::own_uid() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let mut other = command.spawn().expect("sleep runs");
    let lock = data.join("postmaster.pid");
    std::fs::write(&lock, format!("{}\n{}\n", other.id(), data.display())).expect("it can be written");
    // So has the socket's.
    let port = std::fs::read_to_string(home.path().join("port")).expect("it is kept");
    let lock = home.path().join(format!("socket/.s.PGSQL.{}.lock", port.trim()));
    std::fs::write(&lock, format!("{}\n{}\n", other.id(), data.display())).expect("it can be written");

    let server = EmbeddedPostgres::start(home.options()).await;
    other.kill().expect("it lives");
    other.wait().expect("it is ours");
    server.expect("the stale lock is no obstacle").stop().await.expect("it stops");
}

#[tokio::test]
async fn an_interrupted_first_start_is_begun_anew() {
    let home = Home::new();
    std::fs::create_dir_all(home.path().join("data.unfinished/base")).expect("it can be made");
    let server = EmbeddedPostgres::start(home.options()).await.expect("it starts");
    assert_eq!(number(&server.url(), "SELECT 1").await, 1);
    server.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_directory_that_the_account_can_not_enter_gets_its_data_elsewhere() {
    let closed = Home::closed();
    let server = EmbeddedPostgres::start(closed.options()).await.expect("it starts");
    assert_eq!(number(&server.url(), "SELECT 1").await, 1);
    server.stop().await.expect("it stops");
    let location = closed.path().join("location");
    // Only root runs the server as somebody else.
    assert_eq!(location.exists(), support::own_uid() == 0);
    if let Ok(elsewhere) = std::fs::read_to_string(&location) {
        std::fs::remove_dir_all(elsewhere.trim()).expect("it is ours to remove");
    }
}

/// Not a test by itself: the process that [`Owner::spawn`] starts and others kill.
#[tokio::test]
#[ignore = "is started by other tests, as an owner to kill"]
async fn owner_process() {
    let options = support::options(std::env::var_os(support::OWNER_HOME).expect("set by the parent").as_ref());
    let server = EmbeddedPostgres::start(options).await.expect("it starts");
    println!("owner {:?} {:?} {}", server.pid().unwrap(), server.guardian_pid(), server.url());
    std::future::pending::<()>().await;
}
