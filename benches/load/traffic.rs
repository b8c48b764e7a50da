//! Messages at a pace: so many are in flight, and each ack sends the next, or so many a second.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::connection::{Connection, Sender};
use crate::event::{Chat, Event};
use crate::ledger::Ledger;
use crate::options::Plan;
use crate::process::Usage;
use crate::stats;
use crate::target::Target;
use crate::transport::Transport;

/// Time in which surplus messages may arrive.
const SILENCE: Duration = Duration::from_millis(200);

/// The next sender after an ack.
#[derive(Clone, Copy)]
pub enum Pace {
    /// One message in flight in each room, its sessions taking turns.
    EveryRoom,
    /// So many in flight in all; all writers take turns.
    InFlight(usize),
    /// So many a second, whatever is in flight; all writers take turns.
    PerSecond(u32),
}

/// Sessions in their rooms, and everything they said.
pub struct Traffic {
    senders: Vec<Sender>,
    /// The seats that write, where rooms have no turns of their own.
    writers: Vec<usize>,
    /// The seats of each room.
    rooms: Vec<Vec<usize>>,
    state: RefCell<State>,
    changed: Notify,
    /// One for each session.
    listeners: RefCell<JoinSet<()>>,
}

struct State {
    ledger: Ledger,
    pace: Pace,
    open: bool,
    in_flight: usize,
    /// The next sender, in each room and among all.
    turns: Vec<usize>,
    turn: usize,
    tally: Tally,
    /// The transport of the sessions that are measured; others are beside them.
    transport: Transport,
}

/// Arrivals since the window opened.
#[derive(Default)]
struct Tally {
    measured: Samples,
    beside: Samples,
}

/// Latencies in milliseconds.
#[derive(Default)]
struct Samples {
    acks: Vec<f32>,
    deliveries: Vec<f32>,
    behind: Vec<f32>,
}

/// One measured stretch of time.
pub struct Window {
    pub seconds: f64,
    pub messages: f64,
    pub deliveries: f64,
    /// Milliseconds from the send to the ack.
    pub ack: Latency,
    /// Milliseconds from the send to the arrival at another session.
    pub delivery: Latency,
    /// Milliseconds from the arrival of the ack to that at another session, 0 where that was first.
    pub behind: Latency,
    /// The first two of sessions on another transport than the measured ones.
    pub ack_beside: Latency,
    pub delivery_beside: Latency,
    pub usage: Usage,
}

/// The middle and the tail.
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
}

impl Traffic {
    /// Takes the sessions over; each is said to be in the room of that index.
    pub fn start(chats: &[Chat], sessions: Vec<(usize, Connection)>) -> Rc<Self> {
        let writers = (0..sessions.len()).collect();
        Self::with_writers(chats, sessions, writers)
    }

    /// The same, in which the other seats only listen.
    pub fn with_writers(
        chats: &[Chat],
        sessions: Vec<(usize, Connection)>,
        writers: Vec<usize>,
    ) -> Rc<Self> {
        let mut rooms = vec![Vec::new(); chats.len()];
        for (seat, (room, _)) in sessions.iter().enumerate() {
            rooms[*room].push(seat);
        }
        let traffic = Rc::new(Self {
            senders: sessions.iter().map(|(_, connection)| connection.sender()).collect(),
            writers,
            state: RefCell::new(State {
                ledger: Ledger::new(chats, sessions.iter().map(|(room, _)| *room)),
                pace: Pace::EveryRoom,
                open: false,
                in_flight: 0,
                turns: vec![0; rooms.len()],
                turn: 0,
                tally: Tally::default(),
                transport: Transport::default(),
            }),
            rooms,
            changed: Notify::new(),
            listeners: RefCell::default(),
        });
        for (seat, (_, connection)) in sessions.into_iter().enumerate() {
            let this = Rc::downgrade(&traffic);
            traffic.listeners.borrow_mut().spawn_local(listen(this, seat, connection));
        }
        traffic
    }

    /// Opens the loop, measures some windows, closes it, and waits until all has arrived.
    pub async fn measure(
        self: &Rc<Self>,
        pace: Pace,
        target: &Target,
        plan: &Plan,
    ) -> Result<Vec<Window>> {
        {
            let mut state = self.state.borrow_mut();
            state.pace = pace;
            state.transport = target.door.transport;
            state.open = true;
            let state = &mut *state;
            match pace {
                Pace::EveryRoom => {
                    (0..self.rooms.len()).try_for_each(|room| self.post_in(state, room))
                }
                Pace::InFlight(count) => (0..count).try_for_each(|_| self.post_next(state)),
                Pace::PerSecond(_) => Ok(()),
            }?;
        }
        if let Pace::PerSecond(rate) = pace {
            let this = Rc::downgrade(self);
            self.listeners.borrow_mut().spawn_local(tick(this, rate));
        }
        sleep(plan.warm_up).await;
        let mut windows = Vec::new();
        for _ in 0..plan.runs {
            windows.push(self.window(target, plan.window).await?);
        }
        self.state.borrow_mut().open = false;
        // If it does not become quiet, the ledger knows what is missing.
        let _ = timeout(plan.patience, self.quiet()).await;
        sleep(SILENCE).await;
        let mut state = self.state.borrow_mut();
        state.in_flight = 0;
        Ok(windows)
    }

    async fn window(&self, target: &Target, length: Duration) -> Result<Window> {
        self.state.borrow_mut().tally = Tally::default();
        let (before, start) = (target.usage()?, Instant::now());
        sleep(length).await;
        let (usage, seconds) = (target.usage()? - before, start.elapsed().as_secs_f64());
        let Tally { measured, beside } = std::mem::take(&mut self.state.borrow_mut().tally);
        if measured.acks.is_empty() {
            bail!("nothing was acked: {}", self.state.borrow().ledger.verdict().faults.join("; "));
        }
        Ok(Window {
            seconds,
            messages: (measured.acks.len() + beside.acks.len()) as f64,
            deliveries: (measured.deliveries.len() + beside.deliveries.len()) as f64,
            ack: Latency::of(measured.acks),
            delivery: Latency::of(measured.deliveries),
            behind: Latency::of(measured.behind),
            ack_beside: Latency::of(beside.acks),
            delivery_beside: Latency::of(beside.deliveries),
            usage,
        })
    }

    async fn quiet(&self) {
        loop {
            {
                let state = self.state.borrow();
                if state.in_flight == 0 && state.ledger.undelivered() == 0 {
                    return;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Ends the run: takes the ledger out, with the last checks on what was seen live.
    pub fn close(&self) -> Ledger {
        self.listeners.borrow_mut().abort_all();
        let mut ledger = self.with_ledger(|ledger| std::mem::replace(ledger, Ledger::new(&[], [])));
        ledger.close();
        ledger
    }

    /// Works on the ledger.
    pub fn with_ledger<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        work(&mut self.state.borrow_mut().ledger)
    }

    fn hear(&self, seat: usize, event: &Event) -> Result<()> {
        let now = Instant::now();
        let state = &mut *self.state.borrow_mut();
        let samples = if self.senders[seat].transport() == state.transport {
            &mut state.tally.measured
        } else {
            &mut state.tally.beside
        };
        match event.event {
            "ack" => {
                if let Some(took) = state.ledger.acked(seat, &event.data, now) {
                    samples.acks.push(milliseconds(took));
                }
                state.in_flight = state.in_flight.saturating_sub(1);
                if state.open {
                    match state.pace {
                        Pace::EveryRoom => self.post_in(state, state.ledger.room_of(seat))?,
                        Pace::InFlight(_) => self.post_next(state)?,
                        Pace::PerSecond(_) => {}
                    }
                }
            }
            "receive_message" => {
                if let Some((took, behind)) = state.ledger.delivered(seat, &event.data, now) {
                    samples.deliveries.push(milliseconds(took));
                    samples.behind.push(milliseconds(behind));
                }
            }
            "exception" => bail!("{}: {}", event.data.code, event.data.message),
            _ => {}
        }
        if !state.open {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Has the next session of a room post.
    fn post_in(&self, state: &mut State, room: usize) -> Result<()> {
        let seats = &self.rooms[room];
        let turn = state.turns[room];
        state.turns[room] = (turn + 1) % seats.len();
        self.post(state, seats[turn])
    }

    /// Has the next of all writers post.
    fn post_next(&self, state: &mut State) -> Result<()> {
        let turn = state.turn;
        state.turn = (turn + 1) % self.writers.len();
        self.post(state, self.writers[turn])
    }

    fn post(&self, state: &mut State, seat: usize) -> Result<()> {
        state.in_flight += 1;
        let (number, data) = state.ledger.post(seat);
        self.senders[seat].request("send_message", number, &data)
    }
}

/// Has sessions post at a rate, until the loop is closed.
async fn tick(traffic: Weak<Traffic>, rate: u32) {
    let (start, mut posted) = (Instant::now(), 0.0);
    loop {
        sleep(Duration::from_millis(1)).await;
        let Some(traffic) = traffic.upgrade() else { return };
        let state = &mut *traffic.state.borrow_mut();
        if !state.open {
            return;
        }
        while posted < start.elapsed().as_secs_f64() * f64::from(rate) {
            posted += 1.0;
            if let Err(error) = traffic.post_next(state) {
                return state.ledger.fault(format!("cannot post: {error:#}"));
            }
        }
    }
}

/// Hears everything that a session is told, for as long as somebody wants to know.
async fn listen(traffic: Weak<Traffic>, seat: usize, mut connection: Connection) {
    loop {
        let event = connection.next().await;
        let Some(traffic) = traffic.upgrade() else { return };
        if let Err(error) = event.and_then(|event| traffic.hear(seat, &event)) {
            return traffic
                .with_ledger(|ledger| ledger.fault(format!("session {seat} broke: {error:#}")));
        }
    }
}

impl Latency {
    fn of(mut samples: Vec<f32>) -> Self {
        Self {
            p50: stats::percentile(&mut samples, 0.50),
            p99: stats::percentile(&mut samples, 0.99),
        }
    }
}

fn milliseconds(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1e3
}
