//! How a process other than the root does the work that it is given.

use contrastive_dynamics::parallel::Cancel;
use serde::Serialize;

use crate::crew::{Crew, Work, threads};
use crate::group::{Pause, Together};
use crate::message::{Down, Up};

/// Does blocks of work until the root says that it is done.
pub(crate) fn serve<R: Send + Serialize>(together: &Together<'_>, cancel: &Cancel, work: Work<'_, R>) {
    let stop = Cancel::new();
    together.up(&Up::Ready { threads: threads() });
    std::thread::scope(|scope| {
        let crew = Crew::start(scope, &stop, work);
        let mut pause = Pause::new();
        loop {
            match together.hear_down() {
                Some(Down::Block { first, last }) => {
                    pause.reset();
                    crew.give(first..last);
                }
                Some(Down::Stop) => crew.stop(),
                Some(Down::End) => {
                    together.up(&Up::Bye);
                    return;
                }
                Some(other) => together.unexpected(&format!("{other:?}")),
                None => {}
            }
            if cancel.is_cancelled() {
                crew.stop();
            }
            if let Ok(block) = crew.done.recv_timeout(pause.next()) {
                pause.reset();
                together.up(&Up::Done(block));
            }
        }
    });
}
