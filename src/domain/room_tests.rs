use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

impl Sequenced for i64 {
    fn seq(&self) -> Seq {
        Seq(*self)
    }
}

fn read(after: i64, up_to: i64) -> Step<i64> {
    Step::Read { after: Seq(after), up_to: Seq(up_to) }
}

#[test]
fn what_is_stored_is_delivered_in_order() {
    let mut room = Room::new(Seq(4));
    room.posted();
    room.posted();
    assert_eq!(room.stored(2, vec![5, 6]), [Step::Deliver(vec![5, 6])]);
    assert!(room.is_quiet());
}

#[test]
fn a_hole_is_read_before_what_follows_is_delivered() {
    let mut room = Room::new(Seq(4));
    room.posted();
    assert_eq!(room.stored(1, vec![7]), [read(4, 6)]);
    assert!(!room.is_quiet());
    assert_eq!(room.read(vec![5, 6]), [Step::Deliver(vec![5, 6, 7])]);
}

#[test]
fn a_hint_waits_for_the_answer_that_may_be_it() {
    let mut room = Room::new(Seq(4));
    room.posted();
    assert_eq!(room.hinted(Seq(5)), []);
    assert_eq!(room.stored(1, vec![5]), [Step::Deliver(vec![5])]);
}

#[test]
fn a_hint_of_another_node_is_read() {
    let mut room = Room::new(Seq(4));
    assert_eq!(room.hinted(Seq(6)), [read(4, 6)]);
    assert_eq!(room.hinted(Seq(7)), []);
    assert_eq!(room.read(vec![5]), [Step::Deliver(vec![5]), read(5, 7)]);
    assert_eq!(room.hinted(Seq(3)), []);
}

#[test]
fn a_refused_post_leaves_nothing_behind() {
    let mut room = Room::<i64>::new(Seq(4));
    room.posted();
    assert_eq!(room.stored(1, vec![]), []);
    assert!(room.is_quiet());
}

#[test]
fn a_failed_read_is_asked_for_again() {
    let mut room = Room::<i64>::new(Seq(4));
    assert_eq!(room.hinted(Seq(6)), [read(4, 6)]);
    room.read_dropped();
    assert_eq!(room.hinted(Seq(4)), [read(4, 6)]);
}

#[test]
fn what_is_nowhere_does_not_hold_the_room_for_ever() {
    let mut room = Room::new(Seq(4));
    room.posted();
    assert_eq!(room.stored(1, vec![7]), [read(4, 6)]);
    assert_eq!(room.read(vec![]), [Step::Deliver(vec![7])]);
}

#[test]
fn a_message_of_another_node_needs_no_read() {
    let mut room = Room::new(Seq(4));
    assert_eq!(room.stored_elsewhere(vec![5, 6]), [Step::Deliver(vec![5, 6])]);
    assert_eq!(room.stored_elsewhere(vec![6]), [], "a repeat");
    assert_eq!(room.stored_elsewhere(vec![8]), [read(6, 7)]);
    assert_eq!(room.stored_elsewhere(vec![7]), [Step::Deliver(vec![7, 8])]);
    assert_eq!(room.read(vec![7]), []);
    assert!(room.is_quiet());
}

#[test]
fn a_message_of_another_node_waits_for_a_post_that_may_be_before_it() {
    let mut room = Room::new(Seq(4));
    room.posted();
    assert_eq!(room.stored_elsewhere(vec![6]), []);
    assert_eq!(room.stored(1, vec![5]), [Step::Deliver(vec![5, 6])]);
    room.posted();
    room.posted();
    assert_eq!(room.stored_elsewhere(vec![8]), []);
    assert_eq!(room.stored(1, vec![9]), [read(6, 7)], "own posts are answered in their order");
}

#[test]
fn messages_of_another_node_are_held_in_a_bounded_number() {
    let mut room = Room::<i64>::new(Seq(0));
    let most = MOST_HELD as i64;
    assert_eq!(room.stored_elsewhere((2..3 * most).collect()), [read(0, 1)]);
    assert_eq!(room.load(), MOST_HELD);
    let held: Vec<i64> = (1..=most + 1).collect();
    assert_eq!(room.read(vec![1]), [Step::Deliver(held), read(most + 1, 3 * most - 1)]);
}

/// A chat whose messages are stored by this node, or by another one: it sends them, and they may be
/// lost, doubled and overtaken.
#[derive(Debug, Clone)]
enum Act {
    StoreHere(usize),
    Answer,
    StoreElsewhere(usize),
    Arrive { which: prop::sample::Index, is_doubled: bool },
    Hint,
    AnswerRead { at_most: usize, fails: bool },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (1..4usize).prop_map(Act::StoreHere),
        Just(Act::Answer),
        (1..4usize).prop_map(Act::StoreElsewhere),
        (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(which, is_doubled)| Act::Arrive { which, is_doubled }),
        Just(Act::Hint),
        (1..4usize, prop::bool::weighted(0.2))
            .prop_map(|(at_most, fails)| Act::AnswerRead { at_most, fails }),
    ];
    prop::collection::vec(act, 0..60)
}

proptest! {
    #[test]
    fn a_session_sees_every_message_once_and_in_order(start in 0..3i64, acts in acts()) {
        let mut room = Room::new(Seq(start));
        let mut log = start;
        let mut delivered = Vec::new();
        let mut asked: Option<(i64, i64)> = None;
        let (mut answers, mut sent) = (VecDeque::new(), Vec::new());
        let mut take = |steps: Vec<Step<i64>>, asked: &mut Option<(i64, i64)>| {
            for step in steps {
                match step {
                    Step::Deliver(messages) => delivered.extend(messages),
                    Step::Read { after, up_to } => {
                        assert!(asked.is_none(), "one read at a time");
                        assert!(after < up_to);
                        *asked = Some((after.0, up_to.0));
                    }
                }
            }
        };
        for act in acts {
            match act {
                Act::StoreHere(count) => {
                    let count = count as i64;
                    room.posted();
                    answers.push_back((log + 1..=log + count).collect());
                    log += count;
                }
                Act::Answer => {
                    if let Some(news) = answers.pop_front() {
                        take(room.stored(1, news), &mut asked);
                    }
                }
                Act::StoreElsewhere(count) => {
                    let count = count as i64;
                    sent.extend(log + 1..=log + count);
                    log += count;
                }
                Act::Arrive { which, is_doubled } if !sent.is_empty() => {
                    let at = which.index(sent.len());
                    let message = if is_doubled { sent[at] } else { sent.remove(at) };
                    take(room.stored_elsewhere(vec![message]), &mut asked);
                }
                Act::Arrive { .. } => {}
                Act::Hint => take(room.hinted(Seq(log)), &mut asked),
                Act::AnswerRead { at_most, fails } => {
                    if let Some((after, up_to)) = asked.take() {
                        if fails {
                            room.read_dropped();
                        } else {
                            let page = (after + 1..=up_to).take(at_most).collect();
                            take(room.read(page), &mut asked);
                        }
                    }
                }
            }
        }
        for news in answers {
            take(room.stored(1, news), &mut asked);
        }
        // Whatever happened, the hints and reads that go on bring the room to the end.
        take(room.hinted(Seq(log)), &mut asked);
        while let Some((after, up_to)) = asked.take() {
            take(room.read((after + 1..=up_to).collect()), &mut asked);
            take(room.hinted(Seq(log)), &mut asked);
        }
        prop_assert_eq!(delivered, (start + 1..=log).collect::<Vec<_>>());
        prop_assert!(room.is_quiet());
    }
}
