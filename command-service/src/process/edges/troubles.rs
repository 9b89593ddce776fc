//! What keeps chargers of gone edges from being shown offline, in words for operators.

use std::collections::BTreeMap;

/// Edges that are named, however many there are.
const NAMED_MAX: usize = 3;

#[derive(Default)]
pub(super) struct Troubles {
    of_all: Option<String>,
    of_edges: BTreeMap<String, String>,
}

impl Troubles {
    /// Without its causes, which are for the log: anybody can read what is said here.
    pub fn none_can_be_read(&mut self, error: &dyn std::error::Error) {
        self.of_all = Some(error.to_string());
    }

    pub fn all_can_be_read(&mut self) {
        self.of_all = None;
    }

    pub fn of_edge(&mut self, edge: String, what: String) {
        self.of_edges.insert(edge, what);
    }

    pub fn over(&mut self, edge: &str) {
        self.of_edges.remove(edge);
    }

    /// What is said of other edges is over: they hold no charger any more.
    pub fn retain(&mut self, edges: &[String]) {
        self.of_edges.retain(|edge, _| edges.contains(edge));
    }

    /// None: there are none.
    pub fn words(&self) -> Option<String> {
        let named = self.of_edges.iter().take(NAMED_MAX).map(|(edge, what)| format!("edge {edge}: {what}"));
        let more = self.of_edges.len().saturating_sub(NAMED_MAX);
        let more = (more > 0).then(|| format!("and {more} more edges"));
        let words: Vec<String> = self.of_all.clone().into_iter().chain(named).chain(more).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// An error with its causes, on one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_edges_are_named_and_the_others_counted() {
        let mut troubles = Troubles::default();
        assert_eq!(troubles.words(), None);
        let edges = ["a", "b", "c", "d", "e"].map(str::to_owned);
        for edge in &edges {
            troubles.of_edge(edge.clone(), "1 charger".to_owned());
        }
        let words = "edge a: 1 charger; edge b: 1 charger; edge c: 1 charger; and 2 more edges";
        assert_eq!(troubles.words().as_deref(), Some(words));
        troubles.over("a");
        troubles.retain(&edges[..2]);
        troubles.none_can_be_read(&std::fmt::Error);
        assert_eq!(troubles.words(), Some(format!("{}; edge b: 1 charger", std::fmt::Error)));
        troubles.all_can_be_read();
        troubles.over("b");
        assert_eq!(troubles.words(), None);
    }
}
