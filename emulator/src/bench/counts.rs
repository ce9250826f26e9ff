/// How often each instruction was executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Address and count, by address, no count zero.
    pub at: Vec<(u32, u64)>,
    /// Instructions outside of the program's code.
    pub elsewhere: u64,
}

impl Counts {
    /// All instructions.
    pub fn total(&self) -> u64 {
        self.elsewhere + self.at.iter().map(|(_, count)| count).sum::<u64>()
    }

    /// Executions of the instruction at an address.
    pub fn of(&self, address: u32) -> u64 {
        self.at
            .binary_search_by_key(&address, |(at, _)| *at)
            .map_or(0, |index| self.at[index].1)
    }
}
