//! The word that a process leaves of itself: its pid, when it began, and the pid of its owner.

use std::path::Path;

/// Fields of `/proc/<pid>/stat`, counted after the name, which is in parentheses and may hold anything.
const STATE: usize = 0;
pub(crate) const PARENT: usize = 1;
/// In ticks since the machine was started.
const BEGAN: usize = 19;

pub(crate) fn field(pid: u32, number: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().nth(number)?.to_owned())
}

/// Whether a process is there and has not ended; one that nobody waited for has.
pub fn lives(pid: u32) -> bool {
    field(pid, STATE).is_some_and(|state| state != "Z" && state != "X")
}

/// Whether no thread of a process runs any more: SIGSTOP reaches one after another.
pub(crate) fn stands_still(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut threads = threads.filter_map(|thread| thread.file_name().to_str()?.parse().ok());
    // Found by its number as a process is, though not listed there.
    threads.all(|thread| field(thread, STATE).is_none_or(|state| ["T", "t", "Z", "X"].contains(&state.as_str())))
}

/// The process that left its word in the file, if it lives. A pid alone could by now belong to another process.
pub(crate) fn living(file: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(file).ok()?;
    let mut words = text.split_whitespace();
    let (pid, began) = (words.next()?.parse().ok()?, words.next()?);
    (lives(pid) && field(pid, BEGAN).as_deref() == Some(began)).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_of_one_process_only() {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("word");
        let us = std::process::id();
        let began = field(us, BEGAN).expect("we live");
        let table = [
            (format!("{us} {began} 1\n"), Some(us)),
            // As an older program wrote it.
            (format!("{us} {began}\n"), Some(us)),
            // The pid went to us, who began later than another that had it.
            (format!("{us} 1{began} 1\n"), None),
            (format!("{us}\n"), None),
            (String::new(), None),
            (format!("{} {began} 1\n", u32::MAX), None),
        ];
        for (text, living_one) in table {
            std::fs::write(&file, &text).expect("ours");
            assert_eq!(living(&file), living_one, "{text:?}");
        }
        assert_eq!(living(&home.path().join("nothing")), None);
    }
}
