//! Node to node: messages over a backplane, and the database as the truth behind them.
//!
//! Messages between nodes are hints: losing one costs time alone. [`Nodes`] reaches sessions and
//! users on any node, over a [`Backplane`]; [`ChangePoller`] repairs lost hints.

mod backplane;
mod change_poller;
mod driver;
mod live_list;
mod local;
mod message;
mod news;
mod nodes;
mod payload;
mod peers;
mod postgres;
mod redis;
mod replays;
mod seal;
mod sweep;
mod wire;

pub use backplane::{Backplane, Delivery, Event, Limits, Port, PublishError, Target};
pub use change_poller::ChangePoller;
pub use live_list::LiveList;
pub use local::LocalNetwork;
pub use news::{MOST_NEWS, publish_news};
pub use nodes::{Nodes, Receivers};
pub use postgres::PostgresDriver;
pub use redis::{RedisDriver, try_redis};
pub use seal::Seal;
