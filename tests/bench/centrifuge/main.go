// A node of centrifuge, the engine of Centrifugo, as its documentation starts one: all in memory, nothing
// durable. With REDIS (host:port) it is one of several, which share what is said. Whoever connects says who they
// are and in which channel, and may publish there. It listens at the port of OPS_PORT.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/centrifugal/centrifuge"
)

// No ping comes within a run: the members that count do not answer any.
const never = time.Hour

func main() {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		log.Fatal(err)
	}
	if address := os.Getenv("REDIS"); address != "" {
		if err := share(node, address); err != nil {
			log.Fatal(err)
		}
	}
	node.OnConnecting(connecting)
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnPublish(func(_ centrifuge.PublishEvent, reply centrifuge.PublishCallback) {
			reply(centrifuge.PublishReply{}, nil)
		})
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	pings := centrifuge.PingPongConfig{PingInterval: never, PongTimeout: never / 2}
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		PingPongConfig: pings,
	}))
	http.HandleFunc("/readyz", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(answer, `{"pid": %d}`, os.Getpid())
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("OPS_PORT"), nil))
}

func share(node *centrifuge.Node, address string) error {
	shard, err := centrifuge.NewRedisShard(node, centrifuge.RedisShardConfig{Address: address})
	if err != nil {
		return err
	}
	broker, err := centrifuge.NewRedisBroker(node, centrifuge.RedisBrokerConfig{
		Shards: []*centrifuge.RedisShard{shard},
	})
	if err != nil {
		return err
	}
	node.SetBroker(broker)
	return nil
}

func connecting(_ context.Context, event centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
	var told struct {
		User    string `json:"user"`
		Channel string `json:"channel"`
	}
	if err := json.Unmarshal(event.Data, &told); err != nil {
		return centrifuge.ConnectReply{}, centrifuge.DisconnectBadRequest
	}
	return centrifuge.ConnectReply{
		Credentials:   &centrifuge.Credentials{UserID: told.User},
		Subscriptions: map[string]centrifuge.SubscribeOptions{told.Channel: {}},
	}, nil
}
