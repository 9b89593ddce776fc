//! How far it is, for people: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const LINE_EVERY: Duration = Duration::from_secs(5);

pub struct Screen {
    bar: Option<ProgressBar>,
    doing: &'static str,
    from: i64,
    upto: i64,
    began: Instant,
    said: Instant,
}

impl Screen {
    /// From one position to another.
    pub fn new(doing: &'static str, from: i64, upto: i64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:<10} {wide_bar} {msg}");
            let bar = ProgressBar::new((upto - from).unsigned_abs());
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_prefix(doing)
        });
        let now = Instant::now();
        Self { bar, doing, from, upto, began: now, said: now }
    }

    /// `left`: if it is known; else it is guessed from the positions.
    pub fn at(&mut self, position: i64, note: &str, left: Option<Duration>) {
        let done = (position - self.from) as f64;
        let guessed = || {
            let rest = self.began.elapsed().as_secs_f64() / done * (self.upto - position) as f64;
            Duration::try_from_secs_f64(rest).unwrap_or_default()
        };
        let left = match left {
            Some(left) => format!(", {} s left", left.as_secs()),
            None if done > 0.0 => format!(", {} s left", guessed().as_secs()),
            None => String::new(),
        };
        let line = format!("position {position} of {}{note}{left}", self.upto);
        match &self.bar {
            Some(bar) => {
                bar.set_message(line);
                bar.set_position((position - self.from).max(0).unsigned_abs());
            }
            None if self.said.elapsed() >= LINE_EVERY => {
                self.said = Instant::now();
                say!("{}: {line}", self.doing);
            }
            None => {}
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
