// Caddyfile: the option `proxy` of the directive `tenancy`.

package caddymodule

import (
	"encoding/json"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// unmarshalProxy reads the option:
//
//	proxy [<upstreams...>] {
//		header_up <field> <value>
//		tls
//		tls_server_name <name>
//		tls_ca <files...>
//		tls_insecure_skip_verify
//		dial_timeout|response_header_timeout|idle_timeout <time>
//		keep_alive|max_age <time>
//		max_idle|max_conns <number>
//		fail_duration <time>
//		max_fails <number>
//		others reverse_proxy|next
//		errors page|pass
//	}
func (h *Handler) unmarshalProxy(d *caddyfile.Dispenser) error {
	if h.Proxy != nil {
		return d.Err("proxy is given twice")
	}
	p := &Proxy{Upstreams: d.RemainingArgs()}
	h.Proxy = p
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "header_up":
			err = p.unmarshalHeaderUp(d)
		case "tls", "tls_server_name", "tls_ca", "tls_insecure_skip_verify":
			err = p.unmarshalTLS(d)
		case "dial_timeout":
			err = duration(d, &p.DialTimeout)
		case "response_header_timeout":
			err = duration(d, &p.ResponseHeaderTimeout)
		case "idle_timeout":
			err = duration(d, &p.IdleTimeout)
		case "keep_alive":
			err = duration(d, &p.KeepAlive)
		case "max_age":
			err = duration(d, &p.MaxAge)
		case "fail_duration":
			err = duration(d, &p.FailDuration)
		case "max_idle":
			err = number(d, &p.MaxIdle)
		case "max_conns":
			err = number(d, &p.MaxConns)
		case "max_fails":
			err = number(d, &p.MaxFails)
		case "others":
			err = single(d, &p.Others)
		case "errors":
			err = single(d, &p.Errors)
		default:
			err = d.Errf("unrecognized option '%s' (allowed: header_up, tls, tls_server_name, tls_ca, tls_insecure_skip_verify, dial_timeout, response_header_timeout, idle_timeout, keep_alive, max_age, max_idle, max_conns, fail_duration, max_fails, others, errors)", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Proxy) unmarshalHeaderUp(d *caddyfile.Dispenser) error {
	var name, value string
	if !d.AllArgs(&name, &value) {
		return d.ArgErr()
	}
	if p.HeaderUp == nil {
		p.HeaderUp = map[string]string{}
	}
	if _, ok := p.HeaderUp[name]; ok {
		return d.Errf("header_up %s is given twice", name)
	}
	p.HeaderUp[name] = value
	return nil
}

func (p *Proxy) unmarshalTLS(d *caddyfile.Dispenser) error {
	if p.TLS == nil {
		p.TLS = new(reverseproxy.TLSConfig)
	}
	switch d.Val() {
	case "tls_server_name":
		return single(d, &p.TLS.ServerName)
	case "tls_ca":
		files := d.RemainingArgs()
		if len(files) == 0 || p.TLS.CARaw != nil {
			return d.ArgErr()
		}
		raw, err := json.Marshal(map[string]any{"provider": "file", "pem_files": files})
		p.TLS.CARaw = raw
		return err
	case "tls_insecure_skip_verify":
		p.TLS.InsecureSkipVerify = true
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// duration reads an option with a time, which is given once.
func duration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	option, text := d.Val(), ""
	if *into != 0 {
		return d.Errf("%s is given twice", option)
	}
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	if text == "off" {
		*into = -1
		return nil
	}
	value, err := caddy.ParseDuration(text)
	if err != nil || value <= 0 {
		return d.Errf("%s '%s' is not a time above 0, as in 30s or 5m", option, text)
	}
	*into = caddy.Duration(value)
	return nil
}

// number reads an option with a number from 1 on, which is given once.
func number(d *caddyfile.Dispenser, into *int) error {
	option, text := d.Val(), ""
	if *into != 0 {
		return d.Errf("%s is given twice", option)
	}
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < 1 {
		return d.Errf("%s '%s' is not a number from 1 on", option, text)
	}
	*into = value
	return nil
}
