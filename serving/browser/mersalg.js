/* Mersalg in a shop's page: offers, and what becomes of them. */
"use strict";
window.Mersalg = {
 show({ url, key, element, cart, onAdd, labels = {}, timeout = 2000 }) {
  const post = (path, body, more) => fetch(url + path, {
   method: "POST", body: JSON.stringify(body), ...more,
   headers: { "Content-Type": "application/json", Authorization: "Bearer " + key },
  });
  const random = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
  // Ids sent again count once.
  const send = (events, tries) => post("/v1/events", { events }, { keepalive: true })
   .then((answer) => {
    if (answer.status == 429 || answer.status > 499) throw answer;
   })
   .catch(() => tries && setTimeout(send, 6000 / tries, events, tries - 1));
  let waiting = [];
  const flush = () => {
   if (waiting.length) send(waiting, 4);
   waiting = [];
  };
  addEventListener("pagehide", flush);
  const { checkout_id, session_id, customer_id, consent } = cart;
  const tell = (type, { offer_id }) => {
   if (!waiting.length) setTimeout(flush, 200);
   waiting.push({
    type, event_id: random(), occurred_at: new Date().toISOString(), offer_id,
    checkout_id, session_id, customer_id, consent,
   });
  };
  // Seen: half visible for a second.
  const timers = new Map();
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
   const item = entry.target;
   clearTimeout(timers.get(item));
   timers.set(item, entry.intersectionRatio < 0.5 || document.hidden ? 0 : setTimeout(() => {
    seen.unobserve(item);
    timers.delete(item);
    tell("view_promotion", item.offer);
   }, 1000));
  }), { threshold: 0.5 });
  document.addEventListener("visibilitychange", () => timers.forEach((timer, item) => {
   clearTimeout(timer);
   seen.unobserve(item);
   seen.observe(item);
  }));
  const add = (parent, tag, name, text, onclick) => {
   const made = document.createElement(tag);
   made.className = "mersalg-" + name;
   made.textContent = text;
   made.onclick = onclick;
   return parent.appendChild(made);
  };
  const list = document.createElement("ul");
  const render = (offer) => {
   const item = add(list, "li", offer.kind, "");
   const price = offer.replaces ? "+" + offer.replaces.price_difference : offer.unit_price;
   item.offer = offer;
   add(item, "strong", "name", offer.name);
   add(item, "span", "text", offer.text);
   if (price) add(item, "span", "price", price + " " + offer.currency);
   add(item, "button", "add", labels.add || "Add", () => {
    tell("add_to_cart", offer);
    if (onAdd) onAdd(offer);
   });
   add(item, "button", "dismiss", labels.dismiss || "No, thanks", () => {
    tell("dismiss_promotion", offer);
    timers.delete(item);
    seen.unobserve(item);
    item.remove();
   });
   seen.observe(item);
  };
  return post("/v1/suggestions", cart, { signal: AbortSignal.timeout(timeout) })
   .then((answer) => answer.json())
   .then(({ offers = [] }) => {
    offers.forEach(render);
    if (offers.length) element.replaceChildren(list);
    return offers;
   })
   .catch(() => []);
 },
};
