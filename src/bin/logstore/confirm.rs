//! Questions before something is deleted.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::{Failure, Result};

/// Asks a question on the terminal; fails unless the answer is yes.
pub(crate) fn confirm(question: &str) -> Result {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::Usage(format!(
            "{question} Say --yes to do so without being asked"
        )));
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::Nothing(Some("nothing was deleted".to_owned()))),
    }
}
