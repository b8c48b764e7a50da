//! Directory of a node's Engine.IO sessions, for requests that name one.

use std::collections::HashMap;

use actix::prelude::*;

use super::connection::SocketIoConnection;
use super::sid::{Remove, Sid};

/// Owns session id → connection, of every connection of the node.
#[derive(Default)]
pub struct Directory {
    connections: HashMap<Sid, Addr<SocketIoConnection>>,
}

/// Adds a connection.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Add(pub Sid, pub Addr<SocketIoConnection>);

/// Finds a connection.
#[derive(Message)]
#[rtype(result = "Option<Addr<SocketIoConnection>>")]
pub struct Find(pub String);

impl Actor for Directory {
    type Context = Context<Self>;
}

impl Handler<Add> for Directory {
    type Result = ();

    fn handle(&mut self, Add(sid, connection): Add, _: &mut Self::Context) {
        self.connections.insert(sid, connection);
    }
}

impl Handler<Remove> for Directory {
    type Result = ();

    fn handle(&mut self, Remove(sid): Remove, _: &mut Self::Context) {
        self.connections.remove(&sid);
    }
}

impl Handler<Find> for Directory {
    type Result = Option<Addr<SocketIoConnection>>;

    fn handle(&mut self, Find(sid): Find, _: &mut Self::Context) -> Self::Result {
        self.connections.get(&*sid).cloned()
    }
}
