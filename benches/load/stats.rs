//! The two statistics that a report needs.

/// The value that this share of the samples does not exceed; 0 of none.
pub fn percentile(samples: &mut [f32], share: f64) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let index = ((samples.len() - 1) as f64 * share).round() as usize;
    let (_, value, _) = samples.select_nth_unstable_by(index, f32::total_cmp);
    f64::from(*value)
}

/// The middle value, which one disturbed run does not move; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}
