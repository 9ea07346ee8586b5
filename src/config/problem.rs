//! What is wrong with a configuration, all of it at once, in words that say where, why and what is allowed.
//!
//! Nothing here decides what is wrong. Values of secrets never get into a message.

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1; 0 when it concerns the file as a whole.
    pub line: usize,
    /// Key with its sections, as in `workload.sync.rows`; empty when it concerns the file as a whole.
    pub key: String,
    /// What was found and why it is wrong.
    pub message: String,
    /// What may stand there instead; empty when the message says it.
    pub allowed: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        if !self.allowed.is_empty() {
            write!(f, "; allowed: {}", self.allowed)?;
        }
        Ok(())
    }
}

/// Everything that is wrong with one configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// The file, as the user named it.
    pub origin: String,
    pub problems: Vec<Problem>,
}

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            match problem.line {
                0 => write!(f, "{}: {problem}", self.origin)?,
                line => write!(f, "{}:{line}: {problem}", self.origin)?,
            }
        }
        Ok(())
    }
}
