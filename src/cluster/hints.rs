//! Commit hints: after transactions, one message carries the chats' last `seq` to other nodes.

use std::collections::HashMap;

use tokio::sync::mpsc;

use super::Nodes;
use crate::actors::Hints;

/// Transactions that wait to be published. Beyond it their hints are dropped: other nodes poll.
pub const COMMITS: usize = 1_024;
/// Transactions in one message.
const GATHERED: usize = 256;

/// Publishes hints of commits, until the last sender is dropped. Commits during a publication go
/// into the next one.
pub async fn publish_hints(nodes: Nodes, mut commits: mpsc::Receiver<Hints>) {
    let mut gathered = Vec::new();
    while commits.recv_many(&mut gathered, GATHERED).await > 0 {
        nodes.hint(latest(gathered.drain(..))).await;
    }
}

/// One entry per chat: its last `seq`.
fn latest(gathered: impl Iterator<Item = Hints>) -> Hints {
    let mut ends = HashMap::new();
    for (chat, seq) in gathered.flat_map(|Hints(hints)| hints) {
        let end = ends.entry(chat).or_insert(seq);
        *end = seq.max(*end);
    }
    Hints(ends.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ChatId, Seq};

    #[test]
    fn gathered_transactions_leave_one_hint_for_each_chat() {
        let (ten, eleven) = (ChatId(10), ChatId(11));
        let gathered = [
            Hints(vec![(ten, Seq(1)), (ten, Seq(2))]),
            Hints(vec![(eleven, Seq(7)), (ten, Seq(3))]),
        ];
        let Hints(mut hints) = latest(gathered.into_iter());
        hints.sort_unstable();
        assert_eq!(hints, [(ten, Seq(3)), (eleven, Seq(7))]);
    }
}
