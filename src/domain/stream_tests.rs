use proptest::prelude::*;

use super::*;

const CHAT: ChatId = ChatId(1);

fn entered(head: i64, after: Option<i64>, limit: i64) -> Streams {
    let mut streams = Streams::default();
    streams.enter(CHAT, Seq(head), &Replay::plan(Seq(head), after.map(Seq), limit));
    streams
}

/// Writes a whole page, and says what was written.
fn page(streams: &mut Streams, fetch: Fetch, at_most: usize) -> Vec<i64> {
    let seqs: Vec<i64> = (fetch.after.0 + 1..=fetch.up_to.0).take(at_most).collect();
    let written = seqs.iter().copied().filter(|&seq| streams.replayed(CHAT, Seq(seq))).collect();
    streams.page_done(CHAT, seqs.is_empty());
    written
}

#[test]
fn an_entry_without_a_position_begins_at_the_end() {
    let replay = Replay::plan(Seq(7), None, 10);
    assert_eq!(replay, Replay { replayed: 0, replayed_to: Seq(7), truncated: false, reset: false });
    let mut streams = entered(7, None, 10);
    assert_eq!(streams.next_fetch(), None);
    streams.release(CHAT);
    assert_eq!(streams.live(CHAT, Seq(8)), Live::Deliver);
    assert_eq!(streams.live(CHAT, Seq(8)), Live::Drop, "a doubled hint is dropped");
}

#[test]
fn what_was_missed_is_replayed_before_what_is_live() {
    let mut streams = entered(7, Some(4), 10);
    let fetch = streams.next_fetch().expect("a page");
    assert_eq!((fetch.after, fetch.up_to), (Seq(4), Seq(7)));
    assert_eq!(streams.live(CHAT, Seq(8)), Live::Defer, "live waits for the replay");
    assert_eq!(page(&mut streams, fetch, 10), [5, 6, 7]);
    assert!(streams.is_replayed(CHAT));
    assert_eq!(streams.next_fetch(), None, "nothing more before the release");
    streams.release(CHAT);
    let fetch = streams.next_fetch().expect("what came meanwhile");
    assert_eq!(page(&mut streams, fetch, 10), [8]);
    assert_eq!(streams.live(CHAT, Seq(9)), Live::Deliver);
}

#[test]
fn more_than_the_limit_is_truncated_and_does_not_go_live() {
    let replay = Replay::plan(Seq(20), Some(Seq(4)), 10);
    assert_eq!(
        replay,
        Replay { replayed: 10, replayed_to: Seq(14), truncated: true, reset: false }
    );
    let mut streams = entered(20, Some(4), 10);
    let fetch = streams.next_fetch().expect("a page");
    assert_eq!(page(&mut streams, fetch, 100), (5..=14).collect::<Vec<_>>());
    streams.release(CHAT);
    assert_eq!(streams.next_fetch(), None);
    assert_eq!([15, 21].map(|seq| streams.live(CHAT, Seq(seq))), [Live::Drop; 2]);
    assert_eq!(streams.next_fetch(), None);
}

#[test]
fn a_position_beyond_the_end_is_reset() {
    let replay = Replay::plan(Seq(3), Some(Seq(9)), 10);
    assert_eq!(replay, Replay { replayed: 0, replayed_to: Seq(3), truncated: false, reset: true });
    let mut streams = entered(3, Some(9), 10);
    streams.release(CHAT);
    assert_eq!(streams.live(CHAT, Seq(4)), Live::Deliver);
}

#[test]
fn an_entry_again_sets_the_position_back() {
    let mut streams = entered(5, None, 10);
    streams.release(CHAT);
    assert_eq!(streams.live(CHAT, Seq(6)), Live::Deliver);
    streams.enter(CHAT, Seq(6), &Replay::plan(Seq(6), Some(Seq(2)), 10));
    let fetch = streams.next_fetch().expect("a page");
    assert_eq!(page(&mut streams, fetch, 10), [3, 4, 5, 6]);
}

#[test]
fn a_gap_in_what_is_live_is_read() {
    let mut streams = entered(5, None, 10);
    streams.release(CHAT);
    assert_eq!(streams.live(CHAT, Seq(8)), Live::Defer);
    let fetch = streams.next_fetch().expect("a page");
    assert_eq!(page(&mut streams, fetch, 10), [6, 7, 8]);
    assert_eq!(streams.live(CHAT, Seq(9)), Live::Deliver);
}

#[test]
fn one_page_is_under_way_for_all_chats_together() {
    let mut streams = entered(5, Some(0), 10);
    streams.enter(ChatId(2), Seq(5), &Replay::plan(Seq(5), Some(Seq(0)), 10));
    let first = streams.next_fetch().expect("a page");
    assert_eq!(streams.next_fetch(), None);
    assert_eq!(page(&mut streams, first, 10).len(), 5);
    assert_eq!(streams.next_fetch().map(|fetch| fetch.chat_id), Some(ChatId(2)));
}

#[test]
fn a_chat_that_was_left_is_silent() {
    let mut streams = entered(5, Some(0), 10);
    let fetch = streams.next_fetch().expect("a page");
    streams.leave(CHAT);
    assert_eq!(page(&mut streams, fetch, 10), [] as [i64; 0]);
    assert_eq!(streams.live(CHAT, Seq(6)), Live::Drop);
    assert_eq!(streams.next_fetch(), None);
}

#[derive(Debug, Clone)]
enum Act {
    Live,
    Lose,
    Page(usize),
    LosePage,
    Release,
    Hint,
}

proptest! {
    #[test]
    fn what_a_session_is_sent_is_a_contiguous_run(
        head in 0..20i64,
        after in 0..20i64,
        acts in prop::collection::vec(prop_oneof![
            3 => Just(Act::Live), 1 => Just(Act::Lose), 3 => (1..5usize).prop_map(Act::Page),
            1 => Just(Act::LosePage), 1 => Just(Act::Release), 1 => Just(Act::Hint),
        ], 0..80),
    ) {
        let after = after.min(head);
        let mut streams = entered(head, Some(after), 1_000);
        let mut log = head;
        let mut written = Vec::new();
        let mut asked = None;
        for act in acts {
            match act {
                Act::Live => {
                    log += 1;
                    if streams.live(CHAT, Seq(log)) == Live::Deliver {
                        written.push(log);
                    }
                }
                Act::Lose => log += 1,
                Act::Page(at_most) => {
                    asked = asked.or_else(|| streams.next_fetch());
                    if let Some(fetch) = asked.take() {
                        written.extend(page(&mut streams, fetch, at_most));
                    }
                }
                Act::LosePage => {
                    if asked.take().is_some() {
                        streams.page_lost(CHAT);
                    }
                }
                Act::Release => {
                    if streams.is_replayed(CHAT) {
                        streams.release(CHAT);
                    }
                }
                Act::Hint => streams.hinted(CHAT, Seq(log)),
            }
        }
        loop {
            if streams.is_replayed(CHAT) {
                streams.release(CHAT);
                streams.hinted(CHAT, Seq(log));
            }
            match asked.take().or_else(|| streams.next_fetch()) {
                Some(fetch) => written.extend(page(&mut streams, fetch, 7)),
                None => break,
            }
        }
        prop_assert_eq!(written, (after + 1..=log).collect::<Vec<_>>());
    }
}
