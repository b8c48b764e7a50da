//! Timer durations that no operator sets: fixed in production, short in tests.

use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// Time that an empty room stays, for sessions that return.
    pub room_idle: Duration,
    /// Time that a retired room stays, for posts that are on their way to it.
    pub drain_grace: Duration,
    /// Time that a retired room waits for its executor's answers.
    pub drain_deadline: Duration,
    /// Pause before a failed database read is tried again.
    pub retry: Duration,
    /// Time after which typing ends without a repeat.
    pub typing: Duration,
    /// The least time between two `chat_updated` of one chat.
    pub chat_updates: Duration,
    /// The time between two heartbeats of a node.
    pub node_heartbeat: Duration,
    /// Silence after which a node counts as ended, unless the backplane was lost.
    pub node_silence: Duration,
    /// Time by which a poll for chats that moved goes back behind what was committed for certain.
    pub poll_overlap: Duration,
    /// Time that a session waits for the rooms that it joins.
    pub room_timeout: Duration,
    /// Time that a session waits for its peer's close frame.
    pub close_timeout: Duration,
    /// Time that sessions have for their close frames before the server ends.
    pub goodbye_grace: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            room_idle: Duration::from_secs(5),
            drain_grace: Duration::from_secs(2),
            drain_deadline: Duration::from_secs(30),
            retry: Duration::from_millis(500),
            typing: Duration::from_secs(6),
            chat_updates: Duration::from_secs(1),
            node_heartbeat: Duration::from_secs(2),
            node_silence: Duration::from_secs(7),
            poll_overlap: Duration::from_secs(2),
            room_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(1),
            goodbye_grace: Duration::from_millis(300),
        }
    }
}
