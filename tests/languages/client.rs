use std::io::{copy, stdin, stdout, Result};
use std::net::{Shutdown, TcpStream};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let mut stream = TcpStream::connect(format!("{}:{}", args[1], args[2]))?;
    copy(&mut stdin(), &mut stream)?;
    stream.shutdown(Shutdown::Write)?;
    copy(&mut stream, &mut stdout())?;
    Ok(())
}
