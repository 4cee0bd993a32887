//! Ctrl-C ends an example with what is done.

use contrastive_dynamics::parallel::Cancel;

/// A flag that Ctrl-C sets.
pub(crate) fn flag() -> Result<Cancel, ctrlc::Error> {
    let cancel = Cancel::new();
    let handler = cancel.clone();
    ctrlc::set_handler(move || handler.cancel())?;
    Ok(cancel)
}
