//! The harness against its own peer: it must find nothing in what is sound, and everything in what
//! is not.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::bare::Fault;
use crate::ledger::Ledger;
use crate::options::Plan;
use crate::setup;
use crate::target::Target;
use crate::traffic::Pace;
use crate::transport::Transport;

/// Runs the client over sound rooms and over faulty ones.
pub async fn run(folder: &Path) -> Result<bool> {
    for transport in [Transport::Ws, Transport::Socketio] {
        over(folder, transport).await?;
    }
    stored_messages(folder).await?;
    println!("self-test: scripts/bench measures a server");
    Ok(true)
}

/// The rooms on one transport.
async fn over(folder: &Path, transport: Transport) -> Result<()> {
    for (what, pace) in [("every room busy", Pace::EveryRoom), ("16 in flight", Pace::InFlight(16))]
    {
        let verdict = converse(folder, transport, "", pace).await?.verdict();
        ensure!(verdict.fault_count == 0, "faults in what is sound, {what}: {:?}", verdict.faults);
        println!("self-test: {transport}: {} messages, {what}: verified", verdict.messages);
    }
    for fault in Fault::value_variants() {
        let name =
            fault.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned());
        let query = format!("&fault={name}");
        let verdict = converse(folder, transport, &query, Pace::InFlight(16)).await?.verdict();
        ensure!(verdict.fault_count > 0, "a peer that does {name} went unnoticed");
        println!("self-test: {transport}: {name}: found, as in: {}", verdict.faults[0]);
    }
    Ok(())
}

/// Three in a room, for the third of a second, at a peer of their own.
async fn converse(folder: &Path, transport: Transport, query: &str, pace: Pace) -> Result<Ledger> {
    let plan = Plan {
        runs: 1,
        window: Duration::from_millis(200),
        warm_up: Duration::from_millis(100),
        patience: Duration::from_secs(1),
        ..Plan::new(true)
    };
    let bare = &Target::bare(folder, transport).await?;
    let traffic = setup::bare_rooms(bare, 20, 3, query).await?;
    traffic.measure(pace, bare, &plan).await?;
    Ok(traffic.close())
}

/// A history that lacks one, has one twice, or has two in the other order is not taken for the
/// whole one.
async fn stored_messages(folder: &Path) -> Result<()> {
    let sound: Vec<(i64, String)> =
        converse(folder, Transport::Ws, "", Pace::EveryRoom).await?.log(0);
    type Damage = fn(&mut Vec<(i64, String)>);
    let damages: [(&str, bool, Damage); 4] = [
        ("whole", true, |_| {}),
        ("without its last", false, |stored| drop(stored.pop())),
        ("with one twice", false, |stored| stored[5] = stored[4].clone()),
        ("with two exchanged", false, |stored| stored.swap(4, 5)),
    ];
    for (what, is_sound, damage) in damages {
        let mut stored = sound.clone();
        damage(&mut stored);
        let mut ledger = Ledger::of(&sound);
        ledger.compare(0, stored.iter().map(|(seq, client_id)| (*seq, client_id.as_str())));
        ensure!((ledger.verdict().fault_count == 0) == is_sound, "a history {what} was misjudged");
    }
    println!("self-test: damaged histories: found");
    Ok(())
}
