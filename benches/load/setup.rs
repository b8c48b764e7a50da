//! Opens the sessions that scenarios begin with.

use std::rc::Rc;

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::connection::Connection;
use crate::event::{Chat, Page};
use crate::http::Http;
use crate::ledger::Ledger;
use crate::target::Target;
use crate::token;
use crate::traffic::Traffic;
use crate::transport::{Door, Visit};

/// Handshakes in flight while thousands connect; below what a listener's backlog holds.
const HANDSHAKES: usize = 256;

/// So many admin users share the admin sessions, as a company's agents do with their tabs.
const ADMINS: usize = 20;

/// A session that was welcomed.
pub struct Welcomed {
    pub connection: Connection,
    /// The user's id.
    pub user: i64,
    pub chats: Vec<Chat>,
}

/// Connects and waits for the `welcome`.
pub async fn connect(door: Door, visit: &Visit) -> Result<Welcomed> {
    let mut connection = Connection::open(door, visit).await?;
    let welcome = connection.wait_for("welcome").await?.data;
    let (user, chats) = (welcome.user.context("a welcome without a user")?.id, welcome.chats);
    Ok(Welcomed { connection, user, chats })
}

/// Connects all of these as fast as it goes, in their order.
pub async fn connect_all(door: Door, visits: &[Visit]) -> Result<Vec<Welcomed>> {
    stream::iter(visits).map(|visit| connect(door, visit)).buffered(HANDSHAKES).try_collect().await
}

/// Customers that nobody else has the names of.
pub fn customers(prefix: &str, count: usize) -> Vec<Visit> {
    let customer = |number| Visit::of(token::customer(&format!("{prefix}-{number}")));
    (0..count).map(customer).collect()
}

/// The nodes of customers and admins, where there are several.
#[derive(Clone, Copy)]
pub enum Spread {
    /// All on the first.
    First,
    /// The admin of a chat is not on the customer's, who are in turn on each.
    Crossed,
    /// The admin is where the customer is.
    ByChat,
}

/// Support chats, each with its customer and an admin who entered it.
pub async fn support(target: &Target, chats: usize) -> Result<Rc<Traffic>> {
    let (heads, sessions) = sessions(target, chats, Spread::First).await?;
    Ok(Traffic::start(&heads, sessions))
}

/// The same, in which customers write and admins listen.
pub async fn questions(target: &Target, chats: usize, spread: Spread) -> Result<Rc<Traffic>> {
    let (heads, sessions) = sessions(target, chats, spread).await?;
    let customers = (0..sessions.len()).step_by(2).collect();
    Ok(Traffic::with_writers(&heads, sessions, customers))
}

/// For each chat its head, the customer's session and then the admin's.
async fn sessions(
    target: &Target,
    chats: usize,
    spread: Spread,
) -> Result<(Vec<Chat>, Vec<(usize, Connection)>)> {
    let nodes: Vec<Door> = target.nodes().map(|node| node.door).collect();
    let mut heads = Vec::with_capacity(chats);
    let mut sessions = Vec::with_capacity(2 * chats);
    for (room, visit) in customers("customer", chats).iter().enumerate() {
        let (near, far) = match spread {
            Spread::First => (0, 0),
            Spread::Crossed => (room, room + 1),
            Spread::ByChat => (room, room),
        };
        let (near, far) = (nodes[near % nodes.len()], nodes[far % nodes.len()]);
        let customer = connect(near, visit).await?;
        let chat = customer.chats.first().context("a customer without a chat")?.id;
        let (admin, head) = enter(far, room, chat).await?;
        heads.push(head);
        sessions.push((room, customer.connection));
        sessions.push((room, admin));
    }
    Ok((heads, sessions))
}

/// A session of one of the admins that has entered a chat.
pub async fn enter(door: Door, admin: usize, chat: i64) -> Result<(Connection, Chat)> {
    let visit = Visit::of(token::admin(&format!("admin-{}", admin % ADMINS)));
    let mut admin = connect(door, &visit).await?.connection;
    admin.sender().request("enter_chat", 1, &format!(r#"{{"chatIds":[{chat}]}}"#))?;
    let head =
        *admin.wait_for("ack").await?.data.chats.first().context("an ack without the chat")?;
    Ok((admin, head))
}

/// A group chat of so many sessions, each another user's; the last one is the admin's who made it.
pub async fn group(target: &Target, size: usize) -> Result<Rc<Traffic>> {
    let customers = connect_all(target.door, &customers("member", size - 1)).await?;
    let mut admin = connect(target.door, &Visit::of(token::admin("admin"))).await?.connection;
    let users: Vec<String> = customers.iter().map(|customer| customer.user.to_string()).collect();
    let members = users.join(",");
    let data = format!(r#"{{"userIds":[{members}],"title":"a group of {size}"}}"#);
    admin.sender().request("create_chat", 1, &data)?;
    let chat = admin.wait_for("ack").await?.data.id.context("an ack without the chat")?;
    let mut sessions = Vec::with_capacity(size);
    for mut customer in customers {
        customer.connection.wait_for("chat_created").await?;
        sessions.push((0, customer.connection));
    }
    sessions.push((0, admin));
    Ok(Traffic::start(&[Chat { id: chat, last_seq: 0 }], sessions))
}

/// Rooms of so many sessions at the bare peer; `query` is for the peer.
pub async fn bare_rooms(
    target: &Target,
    rooms: usize,
    size: usize,
    query: &str,
) -> Result<Rc<Traffic>> {
    let mut heads = Vec::with_capacity(rooms);
    let mut sessions = Vec::with_capacity(rooms * size);
    for room in 0..rooms {
        let visit = Visit { query: format!("room={}{query}", room + 1), ..Visit::default() };
        for session in connect_all(target.door, &vec![visit; size]).await? {
            heads.truncate(room);
            heads.extend(session.chats);
            sessions.push((room, session.connection));
        }
    }
    Ok(Traffic::start(&heads, sessions))
}

/// Reads all that was written since the ledger began, page by page, and holds it against the
/// ledger.
pub async fn compare_history(target: &Target, ledger: &mut Ledger) -> Result<()> {
    let mut http = Http::connect(target.door.address, &token::admin("auditor")).await?;
    for (room, chat) in ledger.chats().into_iter().enumerate() {
        let mut stored: Vec<(i64, String)> = Vec::new();
        let mut next = Some(format!(
            "/chats/{}/messages?limit=100&order=asc&afterSeq={}",
            chat.id, chat.last_seq
        ));
        while let Some(path) = next {
            let page: Page = crate::event::parse(http.get(&path).await?)?;
            stored.extend(
                page.data.into_iter().map(|message| (message.seq, message.client_id.into_owned())),
            );
            next = page.next;
        }
        ledger.compare(room, stored.iter().map(|(seq, client_id)| (*seq, client_id.as_str())));
    }
    Ok(())
}
