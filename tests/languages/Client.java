import java.net.Socket;

class Client {
    public static void main(String[] args) throws Exception {
        Socket socket = new Socket(args[0], Integer.parseInt(args[1]));
        System.in.transferTo(socket.getOutputStream());
        socket.shutdownOutput();
        socket.getInputStream().transferTo(System.out);
        System.out.flush();
    }
}
