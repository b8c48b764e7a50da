//! Shares: each node's part of the live state, and the copies of it on the other nodes.
//!
//! A share has a version, which grows with each update. A copy that missed an update finds a gap in
//! the versions, and is made anew from the whole share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::{Author, ChatId, NodeId, SessionId, UserId};

/// A chat on a session's screen, and the session's user.
pub type Viewed = (ChatId, Arc<Author>);

/// A change of a share. A whole share is a list of those that make it from nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A user is online, and shown so in these chats; others that were named before stay.
    Online(UserId, Vec<ChatId>),
    Offline(UserId),
    /// A session views a chat, or none.
    Views(SessionId, Option<Viewed>),
}

/// The changes since the version before. Without changes it tells the version alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    pub version: u64,
    pub changes: Vec<Change>,
}

/// A part of a whole share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharePart {
    pub version: u64,
    /// The place among the parts, from 0.
    pub part: u32,
    pub parts: u32,
    pub changes: Vec<Change>,
}

/// Changes in one part.
const PART: usize = 2_000;
/// Parts of one share; a share of more is cut off.
const MOST_PARTS: u32 = 10_000;

/// This node's share: the changes that the others have not been told of.
#[derive(Debug, Default)]
pub struct OwnShare {
    version: u64,
    changes: Vec<Change>,
}

impl OwnShare {
    pub fn record(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// True if nothing is to be told.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.changes.is_empty()
    }

    /// The recorded changes, and the version that they lead to.
    pub fn take(&mut self) -> Update {
        let changes = std::mem::take(&mut self.changes);
        self.version += u64::from(!changes.is_empty());
        Update { version: self.version, changes }
    }

    /// The whole share in parts, one at least. Recorded changes must have been taken.
    #[must_use]
    pub fn parts(&self, whole: &[Change]) -> Vec<SharePart> {
        let chunks: Vec<&[Change]> = match whole {
            [] => vec![&[]],
            whole => whole.chunks(PART).take(MOST_PARTS as usize).collect(),
        };
        let parts = u32::try_from(chunks.len()).unwrap_or(MOST_PARTS);
        let part = |(part, chunk): (u32, &[Change])| SharePart {
            version: self.version,
            part,
            parts,
            changes: chunk.to_vec(),
        };
        (0..parts).zip(chunks).map(part).collect()
    }
}

/// An effect of another node's share on what is so in the deployment.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// A user without other nodes is online there, in these chats.
    Came(UserId, Vec<ChatId>),
    /// A user of other nodes is shown online in further chats.
    Shown(UserId, Vec<ChatId>),
    /// A user is with none of the other nodes any more. The chats showed them online.
    Went(UserId, Vec<ChatId>),
    Views(SessionId, Option<Viewed>),
}

/// The outcome of an update.
#[derive(Debug, PartialEq, Eq)]
pub enum Updated {
    Applied(Vec<Effect>),
    /// Updates before it are missing, so the whole share is to be asked for.
    Missing,
    /// It is known already, or the whole share is on its way.
    Ignored,
}

/// A node where a user is, and the chats that show the user there.
type Place = (NodeId, Box<[ChatId]>);

/// The copies of the other nodes' shares.
#[derive(Debug, Default)]
pub struct Copies {
    nodes: HashMap<NodeId, Copy>,
    /// Never empty for a user.
    users: HashMap<UserId, Vec<Place>>,
}

#[derive(Debug, Default)]
struct Copy {
    /// A new node has the version 0, and an empty share.
    version: u64,
    /// The whole share was asked for.
    is_asked: bool,
    viewing: HashSet<SessionId>,
    assembly: Option<Assembly>,
}

/// The parts of a share that have arrived.
#[derive(Debug)]
struct Assembly {
    version: u64,
    parts: u32,
    arrived: BTreeMap<u32, Vec<Change>>,
}

impl Copies {
    /// True if the user is online on another node.
    #[must_use]
    pub fn has(&self, user: UserId) -> bool {
        self.users.contains_key(&user)
    }

    /// Users who are online on other nodes.
    #[must_use]
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// A chat shows the user online, on whichever nodes they are.
    pub fn show_in(&mut self, user: UserId, chat: ChatId) {
        for (_, chats) in self.users.get_mut(&user).into_iter().flatten() {
            if !chats.contains(&chat) {
                *chats = chats.iter().copied().chain([chat]).collect();
            }
        }
    }

    /// Applies an update. The whole share is asked for once, and again with each update that tells
    /// the version alone: the question or the answer may be lost.
    pub fn update(&mut self, node: NodeId, update: Update) -> Updated {
        let copy = self.nodes.entry(node).or_default();
        let Update { version, changes } = update;
        if version <= copy.version {
            return Updated::Ignored;
        }
        if !changes.is_empty() && version == copy.version + 1 {
            copy.version = version;
            return Updated::Applied(self.apply(node, changes));
        }
        let is_asked = std::mem::replace(&mut copy.is_asked, true);
        if is_asked && !changes.is_empty() { Updated::Ignored } else { Updated::Missing }
    }

    /// Adds a part of a whole share, which counts with its last part.
    pub fn add(&mut self, node: NodeId, part: SharePart) -> Vec<Effect> {
        let copy = self.nodes.entry(node).or_default();
        let SharePart { version, part, parts, changes } = part;
        if version < copy.version || part >= parts || parts > MOST_PARTS {
            return Vec::new();
        }
        let assembly = match &mut copy.assembly {
            Some(assembly) if assembly.version == version && assembly.parts == parts => assembly,
            other => other.insert(Assembly { version, parts, arrived: BTreeMap::new() }),
        };
        assembly.arrived.insert(part, changes);
        if assembly.arrived.len() < parts as usize {
            return Vec::new();
        }
        (copy.version, copy.is_asked) = (version, false);
        let whole = copy.assembly.take().map(|assembly| assembly.arrived).unwrap_or_default();
        let whole: Vec<Change> = whole.into_values().flatten().collect();
        let stale: Vec<SessionId> = std::mem::take(&mut copy.viewing).into_iter().collect();
        let mut before: HashSet<UserId> = self.users_of(node).collect();
        let mut viewing = HashSet::new();
        for change in &whole {
            match change {
                Change::Online(user, _) => drop(before.remove(user)),
                Change::Views(session, _) => drop(viewing.insert(*session)),
                Change::Offline(_) => {}
            }
        }
        let mut effects = self.apply(node, whole);
        effects.extend(before.into_iter().filter_map(|user| self.went(node, user)));
        let stale = stale.into_iter().filter(|session| !viewing.contains(session));
        effects.extend(stale.map(|session| Effect::Views(session, None)));
        effects
    }

    /// Drops the copy of a node that has ended.
    pub fn remove(&mut self, node: NodeId) -> Vec<Effect> {
        let Some(copy) = self.nodes.remove(&node) else { return Vec::new() };
        let users: Vec<UserId> = self.users_of(node).collect();
        let mut effects: Vec<Effect> =
            users.into_iter().filter_map(|user| self.went(node, user)).collect();
        effects.extend(copy.viewing.into_iter().map(|session| Effect::Views(session, None)));
        effects
    }

    fn users_of(&self, node: NodeId) -> impl Iterator<Item = UserId> {
        let is_there = move |places: &[Place]| places.iter().any(|(other, _)| *other == node);
        self.users.iter().filter(move |(_, places)| is_there(places)).map(|(user, _)| *user)
    }

    fn apply(&mut self, node: NodeId, changes: Vec<Change>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for change in changes {
            match change {
                Change::Online(user, chats) => effects.extend(self.came(node, user, chats)),
                Change::Offline(user) => effects.extend(self.went(node, user)),
                Change::Views(session, view) => {
                    let Some(copy) = self.nodes.get_mut(&node) else { continue };
                    match view {
                        Some(_) => copy.viewing.insert(session),
                        None => copy.viewing.remove(&session),
                    };
                    effects.push(Effect::Views(session, view));
                }
            }
        }
        effects
    }

    fn came(&mut self, node: NodeId, user: UserId, chats: Vec<ChatId>) -> Option<Effect> {
        let places = self.users.entry(user).or_default();
        if places.is_empty() {
            places.push((node, chats.clone().into()));
            return Some(Effect::Came(user, chats));
        }
        let is_new = |chat: &ChatId| places.iter().all(|(_, known)| !known.contains(chat));
        let new: Vec<ChatId> = chats.iter().copied().filter(is_new).collect();
        match places.iter_mut().find(|(other, _)| *other == node) {
            Some((_, known)) => {
                let further: Vec<ChatId> =
                    chats.into_iter().filter(|chat| !known.contains(chat)).collect();
                *known = known.iter().copied().chain(further).collect();
            }
            None => places.push((node, chats.into())),
        }
        (!new.is_empty()).then_some(Effect::Shown(user, new))
    }

    fn went(&mut self, node: NodeId, user: UserId) -> Option<Effect> {
        let places = self.users.get_mut(&user)?;
        let at = places.iter().position(|(other, _)| *other == node)?;
        let (_, chats) = places.swap_remove(at);
        if !places.is_empty() {
            return None;
        }
        self.users.remove(&user);
        Some(Effect::Went(user, chats.into_vec()))
    }
}
