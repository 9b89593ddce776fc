//! The pool for reads leads to a standby, whichever of the hosts that is.

use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;

use crate::follow::{LOOK_EVERY, Options, look, pool_options, replace};
use crate::handle::{Node, Pool};
use crate::hosts::{Hosts, name};
use crate::node::{Looker, Seen};

/// A pool that leads to a standby among the hosts, and to another when that one is promoted or gives no answer; to the primary
/// while there is no standby. With one host it leads there, whatever that is. Nothing need answer at the start.
pub fn follow_standby(hosts: Hosts, options: &Options) -> Pool {
    let lazily = |host: &PgConnectOptions| pool_options(options).connect_lazy_with(host.clone());
    let first = lazily(&hosts.each()[0]);
    if hosts.each().len() == 1 {
        return first.into();
    }
    let (node, following) = watch::channel(Node { pool: Some(first.clone()), number: 0, last: first });
    let lookers = hosts.each().iter().map(Looker::new).collect();
    tokio::spawn(run(hosts, options.clone(), lookers, node));
    Pool::following(following)
}

async fn run(hosts: Hosts, options: Options, mut lookers: Vec<Looker>, node: watch::Sender<Node>) {
    let mut read = 0;
    while !node.borrow().last.is_closed() {
        let best = choose(read, &look(&mut lookers).await);
        if best != read {
            let connect = hosts.each()[best].clone();
            tracing::info!(host = name(&connect), "reads go to another server now");
            replace(&node, Some(pool_options(&options).connect_lazy_with(connect)));
            read = best;
        }
        tokio::select! {
            () = node.closed() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// A standby before a primary, of several primaries the one that was promoted last, and nothing is left without need.
fn choose<E>(read: usize, seen: &[Result<Seen, E>]) -> usize {
    let answering = seen.iter().enumerate().filter_map(|(nth, seen)| Some((nth, seen.as_ref().ok()?)));
    let best =
        answering.max_by_key(|(nth, seen)| (seen.in_recovery, seen.timeline, *nth == read, std::cmp::Reverse(*nth)));
    best.map_or(read, |(nth, _)| nth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Replication;

    #[test]
    fn a_standby_is_read_from_where_there_is_one() {
        let one = |in_recovery, timeline| Ok(Seen { in_recovery, timeline, replication: Replication::None });
        let (standby, primary) = (|| one(true, None), |timeline| one(false, Some(timeline)));
        let gone = || Err(());
        let table = [
            // At the start the first is what is read from.
            (0, vec![primary(1), standby()], 1),
            (0, vec![standby(), primary(1)], 0),
            (0, vec![gone(), primary(1), standby()], 2),
            // One is as good as another.
            (1, vec![standby(), standby(), primary(1)], 1),
            (2, vec![standby(), standby(), primary(1)], 0),
            // It is gone, or was promoted, and there is no other; then the former primary comes back as a standby.
            (1, vec![primary(1), gone()], 0),
            (1, vec![gone(), primary(2)], 1),
            (1, vec![standby(), primary(2)], 0),
            // One that was left behind by a promotion.
            (0, vec![primary(1), primary(2)], 1),
            (1, vec![primary(1), primary(2)], 1),
            (1, vec![gone(), gone()], 1),
        ];
        for (nth, (read, seen, expected)) in table.into_iter().enumerate() {
            assert_eq!(choose(read, &seen), expected, "row {nth}");
        }
    }
}
