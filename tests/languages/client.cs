using System;
using System.Net.Sockets;

class Client {
    static void Main(string[] args) {
        var client = new TcpClient(args[0], int.Parse(args[1]));
        Console.OpenStandardInput().CopyTo(client.GetStream());
        client.Client.Shutdown(SocketShutdown.Send);
        client.GetStream().CopyTo(Console.OpenStandardOutput());
    }
}
