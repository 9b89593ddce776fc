//! Processes through the ways in which they and their owner end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use owned_process::{
    Ending, Error, Guardian, OwnedProcess, OwnerLock, Program, Signal, State, User, Watch, descendants, lives,
};

/// For what a test waits for. Reached only when it never comes.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// What a process has to end by SIGTERM in these tests.
const POLITE: Duration = Duration::from_millis(200);
/// Set for the process that a test starts of itself, to be an owner that is killed.
const OWNER_VARIABLE: &str = "OWNED_PROCESS_TEST_OWNER";
/// Says when it can be disturbed, and goes on until it is ended.
const ENDLESS: &str = "echo ready; while :; do sleep 0.05; done";
const STUBBORN: &str = "trap '' TERM; echo ready; while :; do sleep 0.05; done";

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a directory"));
        std::fs::create_dir(home.pids()).expect("ours");
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn pids(&self) -> PathBuf {
        self.path().join("pids")
    }

    fn process(&self, name: &str) -> OwnedProcess {
        process(self.path(), name)
    }

    fn guardian(&self) -> Guardian {
        guardian(self.path(), None)
    }
}

fn process(home: &Path, name: &str) -> OwnedProcess {
    OwnedProcess::new(home.join("pids").join(name), home.join(format!("{name}.log")), Ending::terminate(POLITE))
}

fn guardian(home: &Path, remove: Option<&Path>) -> Guardian {
    let (pids, ending) = (home.join("pids"), Ending::terminate(POLITE));
    Guardian::watch(Watch { name: "test", pids: &pids, ending: &ending, remove, user: None }).expect("a shell runs")
}

fn shell(script: &str) -> Program {
    Program::new("sh").args(["-c", script])
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Launched, and able to be disturbed; its pid.
async fn ready(process: &mut OwnedProcess, script: &str) -> u32 {
    process.launch(&shell(script)).await.expect("it starts");
    until("the process to be ready", || process.said().contains("ready")).await;
    process.pid().expect("it runs")
}

/// Whether the kernel lets it run.
fn stands_still(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

#[tokio::test]
async fn a_process_is_started_and_ended_again_and_again() {
    let home = Home::new();
    let mut one = home.process("one");
    assert_eq!((one.pid(), one.state()), (None, State::Stopped));
    assert!(!one.kill().await && !one.freeze() && !one.signal(Signal::SIGHUP), "it does not run");
    let first = ready(&mut one, ENDLESS).await;
    one.launch(&shell(ENDLESS)).await.expect("it runs already");
    assert_eq!((one.pid(), one.state()), (Some(first), State::Running));
    assert!(one.stop().await);
    assert_eq!((one.pid(), one.state(), lives(first)), (None, State::Stopped, false));

    one.launch(&Program::new("sh").args(["-c", "echo \"$GIVEN${TAKEN_AWAY-}\"; exit 7"]).env("GIVEN", "given"))
        .await
        .expect("it starts");
    assert_eq!(one.ended().await.expect("it ends").code(), Some(7));
    assert_eq!((one.said().as_str(), one.said_last(1).as_str()), ("given\n", "given"));
    let all = std::fs::read_to_string(one.log()).expect("it is kept");
    assert_eq!(all, "ready\ngiven\n");

    one.launch(&Program::new("/nowhere/program")).await.expect("a shell starts");
    assert!(!one.ended().await.expect("it ends").success());
    assert!(one.said().contains("/nowhere/program"), "{}", one.said());
    let second = ready(&mut one, ENDLESS).await;
    assert!(one.kill().await && !lives(second));
}

#[tokio::test]
async fn one_that_is_frozen_stands_still_with_all_below_it_and_goes_on_when_it_is_thawed() {
    let home = Home::new();
    let mut one = home.process("one").with_descendants();
    let pid = ready(&mut one, "sleep 600 & echo ready; wait").await;
    until("its child", || descendants(pid).len() == 2).await;
    let all = descendants(pid);
    assert!(one.freeze());
    assert_eq!(one.state(), State::Frozen);
    assert!(stands_still(pid), "it does not run on for a moment");
    until("all to stand still", || all.iter().all(|pid| stands_still(*pid))).await;
    assert!(one.thaw());
    assert_eq!(one.state(), State::Running);
    until("all to go on", || !all.iter().any(|pid| stands_still(*pid))).await;
    assert!(one.freeze() && one.kill().await);
    until("all to be gone", || !all.iter().any(|pid| lives(*pid))).await;

    let pid = ready(&mut one, ENDLESS).await;
    assert!(one.freeze() && one.stop().await, "it hears of its end");
    assert!(!lives(pid));
}

#[tokio::test]
async fn one_that_outlives_sigterm_is_killed_after_its_time() {
    let home = Home::new();
    let mut one = home.process("one");
    let pid = ready(&mut one, STUBBORN).await;
    let asked = Instant::now();
    assert!(one.stop().await);
    assert!(asked.elapsed() >= POLITE && !lives(pid));

    // By SIGTERM alone it lives on.
    let (pid_file, log) = (home.pids().join("other"), home.path().join("other.log"));
    let mut other = OwnedProcess::new(pid_file, log, Ending::by(Signal::SIGTERM, POLITE));
    let pid = ready(&mut other, STUBBORN).await;
    assert!(!other.stop().await && other.pid() == Some(pid));
    assert!(other.kill().await);
}

#[tokio::test]
async fn a_guardian_ends_all_when_its_owner_lets_it_go() {
    let home = Home::new();
    let removed = home.path().join("removed");
    std::fs::create_dir(&removed).expect("ours");
    let watching = guardian(home.path(), Some(&removed));
    let (mut polite, mut stubborn, mut frozen) = (home.process("a"), home.process("b"), home.process("c"));
    let pids =
        [ready(&mut polite, ENDLESS).await, ready(&mut stubborn, STUBBORN).await, ready(&mut frozen, ENDLESS).await];
    assert!(frozen.freeze());
    // A word that is not true any more: of a process that lives, and began at another time.
    std::fs::write(home.pids().join("d"), format!("{} 1 {0}\n", std::process::id())).expect("ours");
    watching.dismiss().await;
    assert!(!pids.into_iter().any(lives));
    assert!(!removed.exists());
}

/// The next owner has the same directory, and may be there while the guardian is at it.
#[tokio::test]
async fn a_guardian_leaves_alone_what_is_not_its_owners() {
    let home = Home::new();
    let watching = home.guardian();
    let (mut ours, mut anothers) = (home.process("a"), home.process("b"));
    let pid = ready(&mut ours, STUBBORN).await;
    let of_another = ready(&mut anothers, ENDLESS).await;
    let word = home.pids().join("b");
    let text = std::fs::read_to_string(&word).expect("it left word");
    let (text, owner) = text.trim().rsplit_once(' ').expect("the last one is the owner's");
    assert_eq!(owner, std::process::id().to_string());
    std::fs::write(&word, format!("{text} 1\n")).expect("ours");
    watching.dismiss().await;
    assert!(!lives(pid));
    assert!(lives(of_another), "another owner's");
    assert!(anothers.stop().await);
}

#[tokio::test]
async fn a_second_owner_is_refused_and_told_who_the_first_is() {
    let home = Home::new();
    assert!(!OwnerLock::is_taken(home.path()).expect("it can be read"));
    let lock = OwnerLock::take(home.path()).expect("nobody has it");
    assert!(OwnerLock::is_taken(home.path()).expect("it can be read"));
    let refused = OwnerLock::take(home.path()).expect_err("it is taken");
    let us = std::process::id().cast_signed();
    assert!(matches!(refused, Error::InUse { pid: Some(pid), .. } if pid == us), "{refused}");
    assert!(refused.to_string().contains(&format!("is in use by process {us}; stop it")), "{refused}");
    drop(lock);
    // A child of another test, which has not become its program yet, has it too.
    until("it to be free again", || OwnerLock::take(home.path()).is_ok()).await;
}

#[tokio::test]
async fn a_process_whose_owner_is_gone_before_it_began_does_not_begin() {
    let home = Home::new();
    let (word, done) = (home.path().join("word"), home.path().join("done"));
    for (owner, begins) in [(std::process::id(), true), (1, false)] {
        let file = std::fs::File::create(&word).expect("ours");
        let mut launch = Command::new("sh");
        launch.args(["-c", include_str!("../src/launch.sh"), "sh", &owner.to_string(), "touch"]).arg(&done);
        let ended = launch.stdin(file).status().expect("a shell runs");
        assert_eq!((ended.success(), done.exists()), (begins, begins), "its owner is {owner}");
        assert_eq!(std::fs::read_to_string(&word).expect("ours").split_whitespace().count(), 3);
        let _ = std::fs::remove_file(&done);
    }
}

#[tokio::test]
async fn root_runs_it_as_another_user() {
    let home = Home::new();
    let mut one = home.process("one");
    let is_root = nix::unistd::geteuid().is_root();
    let user = is_root.then_some(User { uid: 65_534, gid: 65_534 });
    one.launch(&shell("id -u").run_as(user)).await.expect("it starts");
    assert!(one.ended().await.expect("it ends").success());
    let wanted = user.map_or(nix::unistd::geteuid().as_raw(), |user| user.uid);
    assert_eq!(one.said().trim(), wanted.to_string());
    // The guardian, who is that user too, must be able to read it.
    let word = std::fs::metadata(home.pids().join("one")).expect("it is there");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&word), wanted);
}

/// Not a test by itself: the owner that others start and kill.
#[tokio::test]
#[ignore = "is started by other tests, as an owner to kill"]
async fn an_owner() {
    let home = PathBuf::from(std::env::var_os(OWNER_VARIABLE).expect("set by the parent"));
    let guardian = guardian(&home, None);
    let mut one = process(&home, "one");
    let pid = ready(&mut one, ENDLESS).await;
    let (word, unfinished) = (home.join("word"), home.join("unfinished"));
    std::fs::write(&unfinished, format!("{pid} {}", guardian.pid())).expect("ours");
    std::fs::rename(unfinished, word).expect("ours");
    std::future::pending::<()>().await;
}

/// The owner, its process, and its guardian.
async fn owner(home: &Home) -> (std::process::Child, u32, u32) {
    let mut owner = Command::new(std::env::current_exe().expect("a test has a path"));
    owner.args(["--exact", "an_owner", "--ignored"]).env(OWNER_VARIABLE, home.path());
    let owner = owner.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it runs");
    let word = home.path().join("word");
    until("the owner's word", || word.exists()).await;
    let text = std::fs::read_to_string(&word).expect("it is there");
    std::fs::remove_file(word).expect("ours");
    let pids: Vec<u32> = text.split(' ').map(|pid| pid.parse().expect("a number")).collect();
    (owner, pids[0], pids[1])
}

#[tokio::test]
async fn no_process_outlives_an_owner_that_is_killed() {
    let home = Home::new();
    let (mut first, pid, guardian) = owner(&home).await;
    assert!(lives(pid) && lives(guardian));
    first.kill().and_then(|()| first.wait()).expect("it is ours");
    until("the process to end", || !lives(pid)).await;
    until("the guardian to end", || !lives(guardian)).await;

    // With the guardian gone as well, the next start ends what was left.
    let (mut second, pid, guardian) = owner(&home).await;
    let signalled = Command::new("kill").args(["-KILL", &guardian.to_string()]).status().expect("kill runs");
    assert!(signalled.success());
    until("the guardian to end", || !lives(guardian)).await;
    second.kill().and_then(|()| second.wait()).expect("it is ours");
    assert!(lives(pid), "nobody is there to end it");
    let _watching = home.guardian();
    let mut next = home.process("one");
    ready(&mut next, ENDLESS).await;
    assert!(!lives(pid));
    assert!(next.stop().await);
}
