use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::domain::{Author, Role, Viewers};

const KIM: UserId = UserId(7);
const GRACE: Duration = Duration::from_secs(5);

fn news(online: bool, chat: i64) -> PresenceNews {
    PresenceNews { user: KIM, online, chats: vec![ChatId(chat)] }
}

#[test]
fn a_reload_shows_nothing() {
    let (mut presence, start) = (Presence::new(GRACE), Instant::now());
    assert_eq!(presence.came(KIM, vec![ChatId(1)]), Some(news(true, 1)));
    presence.went(KIM, vec![ChatId(1)], start);
    assert!(presence.is_online(KIM));
    assert_eq!(presence.came(KIM, vec![ChatId(1)]), None, "still online");
    assert!(presence.expire(start + GRACE).is_empty());
    assert_eq!(presence.next_end(), None);
}

#[test]
fn who_does_not_come_back_is_offline_once() {
    let (mut presence, start) = (Presence::new(GRACE), Instant::now());
    presence.went(KIM, vec![ChatId(1)], start);
    presence.came(KIM, vec![ChatId(2)]);
    let again = start + GRACE / 2;
    presence.went(KIM, vec![ChatId(2)], again);
    assert!(presence.expire(start + GRACE).is_empty(), "the first end counts no more");
    assert_eq!(presence.expire(again + GRACE), [news(false, 2)]);
    assert!(presence.came(KIM, vec![ChatId(2)]).is_some());
}

#[test]
fn who_comes_back_on_another_node_was_never_away() {
    let nodes = [NodeId::random(), NodeId::random()];
    let (mut first, mut second) = (Presence::new(GRACE), Presence::new(GRACE));
    let start = Instant::now();
    first.came(KIM, vec![ChatId(1)]);
    let told = second.update(nodes[0], first.take_update(), |_| false).expect("in order");
    assert_eq!(told.news, [news(true, 1)]);
    first.went(KIM, vec![ChatId(1)], start);
    assert_eq!(second.came(KIM, vec![ChatId(1)]), None);
    let told = first.update(nodes[1], second.take_update(), |_| false).expect("in order");
    assert_eq!(told, Applied::default());
    assert!(first.expire(start + GRACE).is_empty());
    let told = second.update(nodes[0], first.take_update(), |user| user == KIM);
    assert_eq!(told, Some(Applied::default()));
}

#[test]
fn a_chat_that_was_created_while_a_member_was_online_hears_that_they_are_gone() {
    let node = NodeId::random();
    let (mut there, mut here) = (Presence::new(GRACE), Presence::new(GRACE));
    there.came(KIM, vec![ChatId(1)]);
    let told = here.update(node, there.take_update(), |_| false).expect("in order");
    assert_eq!(told.news, [news(true, 1)]);
    let start = Instant::now();
    there.went(KIM, vec![ChatId(1)], start);
    // While Kim may still come back.
    there.show_in(KIM, ChatId(2));
    here.show_in(KIM, ChatId(2));
    here.show_in(KIM, ChatId(2));
    let both = [PresenceNews { user: KIM, online: false, chats: vec![ChatId(1), ChatId(2)] }];
    assert_eq!(there.expire(start + GRACE), both);
    let told = here.update(node, there.take_update(), |_| false).expect("in order");
    assert_eq!(told.news, both);
}

#[test]
fn the_users_of_a_node_that_is_gone_are_offline_except_those_who_are_elsewhere() {
    let (node, lee) = (NodeId::random(), UserId(8));
    let (mut there, mut here) = (Presence::new(GRACE), Presence::new(GRACE));
    for user in [KIM, lee] {
        there.came(user, vec![ChatId(1)]);
    }
    here.update(node, there.take_update(), |_| false);
    let told = here.remove(node, |user| user == lee);
    assert_eq!(told.news, [news(false, 1)]);
    assert!(!here.is_online(KIM));
}

#[test]
fn a_node_that_missed_changes_asks_for_the_whole_share_once() {
    let node = NodeId::random();
    let (mut there, mut here) = (Presence::new(GRACE), Presence::new(GRACE));
    there.came(KIM, vec![ChatId(1)]);
    drop(there.take_update());
    there.came(UserId(8), vec![ChatId(1)]);
    assert_eq!(here.update(node, there.take_update(), |_| false), None);
    there.came(UserId(9), vec![ChatId(1)]);
    let is_on_its_way = here.update(node, there.take_update(), |_| false);
    assert_eq!(is_on_its_way, Some(Applied::default()));
    assert_eq!(here.update(node, there.take_update(), |_| false), None, "it may be lost");
    let whole = [7, 8, 9].map(|user| Change::Online(UserId(user), vec![ChatId(1)]));
    for part in there.share(whole.into_iter()) {
        assert_eq!(here.add(node, part, |_| false).news.len(), 3);
    }
    assert_eq!(here.update(node, there.take_update(), |_| false), Some(Applied::default()));
}

#[test]
fn a_chat_that_is_made_before_a_member_is_known_hears_that_the_member_is_online() {
    let node = NodeId::random();
    let (mut there, mut here) = (Presence::new(GRACE), Presence::new(GRACE));
    there.came(KIM, vec![ChatId(1)]);
    here.update(node, there.take_update(), |_| false);
    there.record(Change::Online(KIM, vec![ChatId(1), ChatId(2)]));
    let told = here.update(node, there.take_update(), |_| false).expect("in order");
    assert_eq!((told.news, told.shown), (vec![], vec![news(true, 2)]));
}

/// A message between two nodes.
#[derive(Debug, Clone)]
enum Said {
    Update(Update),
    Ask,
    Part(SharePart),
}

/// One node, as ChatServer runs it.
struct Node {
    id: NodeId,
    presence: Presence,
    viewers: Viewers,
    sessions: HashMap<UserId, u32>,
    /// Users who are shown online.
    shown: HashSet<UserId>,
    views: HashMap<SessionId, (UserId, ChatId)>,
}

/// Messages on their way: the receiver, the sender, and what is said.
type Network = Vec<(NodeId, NodeId, Said)>;

impl Node {
    fn new() -> Self {
        Self {
            id: NodeId::random(),
            presence: Presence::new(GRACE),
            viewers: Viewers::default(),
            sessions: HashMap::new(),
            shown: HashSet::new(),
            views: HashMap::new(),
        }
    }

    fn tell(&mut self, news: impl IntoIterator<Item = PresenceNews>) {
        for PresenceNews { user, online, .. } in news {
            // Each is told once.
            match online {
                true => assert!(self.shown.insert(user)),
                false => assert!(self.shown.remove(&user)),
            }
        }
    }

    fn connect(&mut self, user: UserId) {
        let sessions = self.sessions.entry(user).or_default();
        *sessions += 1;
        if *sessions == 1 {
            let news = self.presence.came(user, vec![ChatId(1)]);
            self.tell(news);
        }
    }

    fn disconnect(&mut self, user: UserId, now: Instant) {
        let Some(sessions) = self.sessions.get_mut(&user) else { return };
        *sessions -= 1;
        if *sessions == 0 {
            self.sessions.remove(&user);
            self.presence.went(user, vec![ChatId(1)], now);
        }
    }

    fn view(&mut self, user: UserId, chat: Option<ChatId>) {
        let known = self.views.iter().find(|(_, (viewer, _))| *viewer == user);
        let session = known.map_or_else(|| SessionId::on_node(self.id), |(session, _)| *session);
        let view = chat.map(|chat| (chat, admin(user)));
        match chat {
            Some(chat) => drop(self.views.insert(session, (user, chat))),
            None => drop(self.views.remove(&session)),
        }
        self.viewers.view(session, admin(user), chat);
        self.presence.record(Change::Views(session, view));
    }

    fn apply(&mut self, applied: Applied) {
        self.tell(applied.news);
        for (session, view) in applied.views {
            match view {
                Some((chat, author)) => drop(self.viewers.view(session, author, Some(chat))),
                None => drop(self.viewers.end(session)),
            }
        }
    }

    fn hear(&mut self, from: NodeId, said: Said, network: &mut Network) {
        let here = self.sessions.clone();
        let is_here = |user| here.contains_key(&user);
        match said {
            Said::Update(update) => match self.presence.update(from, update, is_here) {
                Some(applied) => self.apply(applied),
                None => network.push((from, self.id, Said::Ask)),
            },
            Said::Part(part) => {
                let applied = self.presence.add(from, part, is_here);
                self.apply(applied);
            }
            Said::Ask => {
                drop(self.presence.take_update());
                let online =
                    self.sessions.keys().map(|user| Change::Online(*user, vec![ChatId(1)]));
                let views = self.views.iter().map(|(session, (user, chat))| {
                    Change::Views(*session, Some((*chat, admin(*user))))
                });
                let parts = self.presence.share(online.chain(views));
                network.extend(parts.into_iter().map(|part| (from, self.id, Said::Part(part))));
            }
        }
    }

    fn forget(&mut self, dead: NodeId) {
        let here = self.sessions.clone();
        let applied = self.presence.remove(dead, |user| here.contains_key(&user));
        self.apply(applied);
    }
}

fn admin(user: UserId) -> Arc<Author> {
    Arc::new(Author { id: user, nickname: None, role: Role::Admin })
}

fn tell_all(nodes: &mut [Node], at: usize, network: &mut Network) {
    let update = nodes[at].presence.take_update();
    let from = nodes[at].id;
    let others = nodes.iter().map(|node| node.id).filter(|id| *id != from);
    network.extend(others.map(|to| (to, from, Said::Update(update.clone()))));
}

fn deliver(nodes: &mut [Node], at: usize, network: &mut Network) {
    let (to, from, said) = network.remove(at);
    // A node that has ended says nothing more once it is forgotten.
    let is_alive = nodes.iter().any(|node| node.id == from);
    if let Some(node) = nodes.iter_mut().find(|node| node.id == to && is_alive) {
        node.hear(from, said, network);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Connect(Index, u8),
    Disconnect(Index, u8),
    View(Index, u8, Option<u8>),
    Wait,
    Tell(Index),
    Deliver(Index),
    Lose(Index),
    Double(Index),
    Kill(Index),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), 0..4_u8).prop_map(|(node, user)| Step::Connect(node, user)),
        4 => (index(), 0..4_u8).prop_map(|(node, user)| Step::Disconnect(node, user)),
        2 => (index(), 0..2_u8, prop::option::of(0..2_u8))
            .prop_map(|(node, user, chat)| Step::View(node, user, chat)),
        3 => Just(Step::Wait),
        5 => index().prop_map(Step::Tell),
        8 => index().prop_map(Step::Deliver),
        1 => index().prop_map(Step::Lose),
        1 => index().prop_map(Step::Double),
        1 => index().prop_map(Step::Kill),
    ]
}

proptest! {
    /// After any history of connects, ends, moves, deaths of nodes, and messages that were lost,
    /// doubled and overtaken, every node shows what a recount of all sessions says, once its peers
    /// have told their versions.
    #[test]
    fn presence_and_viewers_equal_a_recount_on_every_node(
        steps in prop::collection::vec(step(), 0..150)
    ) {
        let mut nodes: Vec<Node> = (0..3).map(|_| Node::new()).collect();
        let (mut network, mut now) = (Network::new(), Instant::now());
        for step in steps {
            match step {
                Step::Connect(at, user) => at.get_mut(&mut nodes).connect(UserId(user.into())),
                Step::Disconnect(at, user) => {
                    at.get_mut(&mut nodes).disconnect(UserId(user.into()), now);
                }
                Step::View(at, user, chat) => {
                    let chat = chat.map(|chat| ChatId(chat.into()));
                    at.get_mut(&mut nodes).view(UserId(100 + i64::from(user)), chat);
                }
                Step::Wait => {
                    now += GRACE / 3;
                    for node in &mut nodes {
                        let news = node.presence.expire(now);
                        node.tell(news);
                    }
                }
                Step::Tell(at) => {
                    let at = at.index(nodes.len());
                    tell_all(&mut nodes, at, &mut network);
                }
                Step::Deliver(at) if !network.is_empty() => {
                    let at = at.index(network.len());
                    deliver(&mut nodes, at, &mut network);
                }
                Step::Lose(at) if !network.is_empty() => {
                    network.remove(at.index(network.len()));
                }
                Step::Double(at) if !network.is_empty() => {
                    network.push(at.get(&network).clone());
                }
                Step::Kill(at) => {
                    let at = at.index(nodes.len());
                    let dead = std::mem::replace(&mut nodes[at], Node::new()).id;
                    for node in &mut nodes {
                        node.forget(dead);
                    }
                }
                Step::Deliver(_) | Step::Lose(_) | Step::Double(_) => {}
            }
            for node in &nodes {
                for user in (0..4).map(UserId) {
                    let is_online =
                        node.sessions.contains_key(&user) || node.presence.is_online(user);
                    prop_assert_eq!(node.shown.contains(&user), is_online);
                }
            }
        }
        // The heartbeats of a quiet time: the changes, and the versions alone.
        for at in [0, 1, 2, 0, 1, 2] {
            tell_all(&mut nodes, at, &mut network);
            while !network.is_empty() {
                deliver(&mut nodes, 0, &mut network);
            }
        }
        for node in &nodes {
            for user in (0..4).map(UserId) {
                let is_online = nodes.iter().any(|other| {
                    other.sessions.contains_key(&user)
                        || other.presence.leaving.contains_key(&user)
                });
                prop_assert_eq!(node.shown.contains(&user), is_online);
            }
            for chat in (0..2).map(ChatId) {
                let all = nodes.iter().flat_map(|other| other.views.values());
                let expected: BTreeSet<UserId> =
                    all.filter(|(_, viewed)| *viewed == chat).map(|(user, _)| *user).collect();
                let shown: Vec<UserId> =
                    node.viewers.of(chat).iter().map(|user| user.id).collect();
                prop_assert_eq!(shown, expected.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
