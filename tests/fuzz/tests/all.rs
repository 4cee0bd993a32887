//! Inputs at random, or, with an engine of bolero, guided by what they reach.

use contrastive_dynamics_fuzz::one;

#[test]
fn nothing_panics_hangs_or_takes_memory_out_of_proportion() {
    bolero::check!().with_max_len(512).for_each(one);
}
