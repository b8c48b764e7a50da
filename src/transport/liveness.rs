//! Signs of life: pings that are answered, and frames that become whole.

/// The beats without progress after which a peer is dead: two whole intervals lie between them.
const PATIENCE: u8 = 2;

/// Progress of a connection, as a heartbeat finds it.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The session takes frames: while it does not, the peer's silence says nothing.
    pub reads: bool,
    /// The number of the frame that is arriving.
    pub frame: Option<u32>,
    /// The number of the fragmented message that is arriving.
    pub message: Option<u32>,
}

/// Judges a peer at each heartbeat.
#[derive(Debug, Default)]
pub struct Liveness {
    silent_beats: u8,
    frame: Unfinished,
    message: Unfinished,
}

/// Something that was unfinished at the last beat, and for how many beats before.
#[derive(Debug, Default)]
struct Unfinished {
    number: Option<u32>,
    beats: u8,
}

impl Liveness {
    /// The peer has sent something.
    pub fn heard(&mut self) {
        self.silent_beats = 0;
    }

    /// A heartbeat. `true` for a peer that was silent for two intervals, or sends a frame or a message
    /// that was not whole in two.
    pub fn is_over(&mut self, progress: Progress) -> bool {
        let is_silent = self.silent_beats >= PATIENCE;
        self.silent_beats = if progress.reads { self.silent_beats.saturating_add(1) } else { 0 };
        let is_stuck =
            [self.frame.is_stuck(progress.frame), self.message.is_stuck(progress.message)];
        (progress.reads && is_silent) || is_stuck.contains(&true)
    }
}

impl Unfinished {
    fn is_stuck(&mut self, number: Option<u32>) -> bool {
        let is_same = number.is_some() && number == self.number;
        self.beats = if is_same { self.beats.saturating_add(1) } else { 0 };
        self.number = number;
        self.beats >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Progress = Progress { reads: true, frame: None, message: None };

    #[test]
    fn silence_is_over_after_two_whole_intervals() {
        let mut liveness = Liveness::default();
        for _ in 0..10 {
            assert!(!liveness.is_over(QUIET) && !liveness.is_over(QUIET));
            liveness.heard();
        }
        assert!(!liveness.is_over(QUIET) && !liveness.is_over(QUIET));
        assert!(liveness.is_over(QUIET));
    }

    #[test]
    fn a_session_that_does_not_read_blames_nobody() {
        let mut liveness = Liveness::default();
        for _ in 0..10 {
            assert!(!liveness.is_over(Progress { reads: false, ..QUIET }));
        }
        assert!(!liveness.is_over(QUIET) && !liveness.is_over(QUIET));
        assert!(liveness.is_over(QUIET), "counted from then on");
    }

    #[test]
    fn a_frame_that_trickles_is_over_and_one_after_the_other_is_not() {
        for fragmented in [false, true] {
            let arriving = |number| match fragmented {
                true => Progress { message: Some(number), ..QUIET },
                false => Progress { frame: Some(number), ..QUIET },
            };
            let mut liveness = Liveness::default();
            let mut is_over = |number| {
                liveness.heard();
                liveness.is_over(arriving(number))
            };
            assert!((0..10).all(|number| !is_over(number)));
            assert!(!is_over(10) && !is_over(10));
            assert!(is_over(10));
        }
    }
}
